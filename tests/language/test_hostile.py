"""Whatever stands in a file, it is a scenario or is refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from vcpu_scenario.language import Scenario, load
from vcpu_scenario.source import InvalidScenario, render

from tests.language.build import EVERYTHING, scenario

TOKENS = [
    *("title: x\n", "guest:\n", "  words: [0xd4200000]\n", "  code: |\n", "    nop\n", "- ", "  "),
    *("{", "}", "[", "]", ",", ": ", "\n", "'", '"', "|", ">", "&a ", "*a", "!!str "),
    *("#", "%", "@", "\\ud800", "\\x00"),
    *("${p}", "$${", "${", "}", "matrix: {p: [1, 2]}\n", "expect:\n", "- exits:\n", "0x", "1MiB"),
    *("\t", "\r", "\x00", "\x85", "\u2028", "\ufeff", "é", "𝄞", "\ud800", "? ", "---\n", "...\n"),
]


def outcome(text: str) -> Scenario | None:
    try:
        return scenario(text)
    except InvalidScenario as invalid:
        faults = invalid.diagnostics
    assert faults
    for found in faults:
        assert render(found, text).startswith(f"{found.span.file}:{found.span.line}:")
    return None


@pytest.mark.slow
@given(st.lists(st.sampled_from(TOKENS), max_size=40).map("".join))
@settings(max_examples=400, deadline=None)
@example("title: x\nguest: {words: [0]}\nmatrix: {a: [&x 1, *x]}\n")
def test_tokens_in_any_order_are_refused_in_words(text: str) -> None:
    outcome(text)


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.integers(0, len(EVERYTHING)), st.integers(0, 12), st.sampled_from(TOKENS)),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=300, deadline=None)
def test_a_scenario_with_a_few_places_changed_is_read_or_refused_in_words(
    changes: list[tuple[int, int, str]],
) -> None:
    text = EVERYTHING
    for place, length, token in changes:
        text = text[:place] + token + text[place + length :]
    outcome(text)


@pytest.mark.slow
@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused_in_words(tmp_path_factory: object, raw: bytes) -> None:
    assert isinstance(tmp_path_factory, pytest.TempPathFactory)
    path = tmp_path_factory.getbasetemp() / "bytes.vcpu.yaml"
    path.write_bytes(raw)
    with pytest.raises(InvalidScenario) as raised:
        load(path)
    assert str(raised.value)


HEAD = "title: x\nguest: {words: [0xd4200000]}\n"
HUNDRED = ", ".join(map(str, range(100)))

TOO_MUCH = {
    "faults": (
        HEAD + "before:\n" + "".join(f"- {{set: {{x0: name{n}}}}}\n" for n in range(5000)),
        "there are 4800 faults more, which are not shown",
    ),
    "slots": (
        HEAD
        + "before:\n"
        + "".join(f"- {{add_memory: {{at: {n << 12}, size: 4KiB}}}}\n" for n in range(5000)),
        "too many memory slots",
    ),
    "text by aliases": (
        f"title: x\nabout: &a {'x' * 300_000}\nguest: {{words: [0]}}\n"
        f"data: [{', '.join(['{at: 0, text: *a}'] * 1000)}]\n",
        "the file has more than 100,000 nodes once its aliases are expanded",
    ),
    "text by parameters": (
        HEAD + f"matrix: {{a: [{'x' * 100_000}]}}\nabout: '{'${a}' * 1000}'\n",
        "the matrix makes too much of the file",
    ),
    "combinations": (
        HEAD + f"matrix: {{a: [{HUNDRED}], b: [{HUNDRED}], c: [0, 1]}}\n",
        "the matrix has too many combinations",
    ),
    "cases": (
        HEAD
        + f"matrix: {{a: [{HUNDRED}], b: [{HUNDRED}]}}\nvmm: [plain, qemu, qemu-2017]\n"
        + "expect:\n"
        + "".join(f"- {{kernels: '5.1.{n}'}}\n" for n in range(50)),
        "the scenario makes too many cases",
    ),
    "clauses": (
        HEAD
        + f"matrix: {{a: [{HUNDRED}], b: [{HUNDRED}]}}\nexpect:\n"
        + "".join(f"- {{kernels: '5.1.{n}'}}\n" for n in range(50)),
        "the scenario makes too many clauses",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TOO_MUCH)
def test_too_much_of_anything_is_told_and_not_tried(name: str) -> None:
    text, message = TOO_MUCH[name]
    with pytest.raises(InvalidScenario) as raised:
        scenario(text)
    assert message in [found.message for found in raised.value.diagnostics]


@pytest.mark.slow
def test_as_many_cases_as_there_may_be_are_made() -> None:
    used = 'title: x\nguest: {words: [0xd4200000], regs: {x0: "${a}", x1: "${b}"}}\n'
    text = f"{used}matrix: {{a: [{HUNDRED}], b: [{HUNDRED}]}}\nexpect: [{{exits: []}}]\n"
    found = scenario(text).cases(["6.12"])
    assert len({case.id for case in found}) == 10_000


@pytest.mark.parametrize("number", ["9" * 100_000, "0x" + "f" * 100_000, "-" + "1_" * 50_000 + "1"])
def test_giant_numbers_are_out_of_range_and_cost_nothing(number: str) -> None:
    text = f"title: x\nguest: {{words: [0], registers: {{x0: {number}}}}}\n"
    assert outcome(text) is None


def test_a_linked_folder_is_left_by_no_path(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "secret").write_bytes(b"\x00\x00\x20\xd4")
    (inside / "link").symlink_to(outside)
    (inside / "loop").symlink_to("loop")
    path = inside / "made.vcpu.yaml"
    for name in ("link/secret", "../outside/secret", str(outside / "secret"), "loop", "a/../../x"):
        path.write_text(f"title: x\nguest: {{binary: {name}}}\n")
        with pytest.raises(InvalidScenario):
            load(path)


def test_a_scenario_reached_through_a_link_has_the_folder_of_the_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "code.bin").write_bytes(b"\x00\x00\x20\xd4")
    (tmp_path / "real" / "made.vcpu.yaml").write_text("title: x\nguest: {binary: code.bin}\n")
    (tmp_path / "folder").symlink_to("real")
    assert load(tmp_path / "folder" / "made.vcpu.yaml").name == "made"
