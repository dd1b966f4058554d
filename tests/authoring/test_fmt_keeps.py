"""``scenario fmt`` changes no meaning and loses no comment, whatever the layout it is given."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from vcpu_scenario.authoring import formatting
from vcpu_scenario.authoring.concrete import Unusual, read
from vcpu_scenario.authoring.formatting import MeaningChanged, formatted, without_places
from vcpu_scenario.language import loads, yaml12
from vcpu_scenario.language.nodes import to_plain

from tests.language.build import EVERYTHING, SMALL

SHIPPED: Final = sorted((Path(__file__).parents[2] / "scenarios").glob("**/*.vcpu.yaml"))
TEXTS: Final = [EVERYTHING, *(path.read_text(encoding="utf-8") for path in SHIPPED[::4])]
NOWHERE: Final = Path("nowhere.vcpu.yaml")


def plain(text: str) -> Any:
    node, faults = yaml12.parse(text, "")
    return None if node is None or faults else to_plain(node)


def dumped(random: Random, text: str) -> str:
    """``text`` as somebody else's emitter writes it: without comments, in another style."""
    return yaml.safe_dump(
        plain(text),
        sort_keys=random.random() < 0.5,
        default_flow_style=random.choice([None, False, True]),
        width=random.choice([30, 80, 200]),
        indent=random.choice([2, 3, 4]),
        default_style=random.choice([None, None, '"', "'"]),
    )


def disordered(random: Random, text: str) -> str:
    """``text`` after a few careless edits of its layout, some of which change its meaning."""
    lines = text.split("\n")
    for _ in range(random.randint(1, 8)):
        number = random.randrange(len(lines))
        lines[number : number + 1] = random.choice(EDITS)(random, lines[number])
    return "\n".join(lines)


def _broken_in_brackets(random: Random, line: str) -> list[str]:
    places = [place + 1 for place, char in enumerate(line) if char in ",{["]
    if not places:
        return [line]
    place = random.choice(places)
    comment = " # within" if random.random() < 0.3 else ""
    return [line[:place] + comment, " " * random.randint(8, 14) + line[place:].lstrip()]


def _broken_after_key(random: Random, line: str) -> list[str]:
    key, colon, value = line.partition(": ")
    if not colon or "#" in key:
        return [line]
    indent = len(line) - len(line.lstrip()) + random.randint(1, 6)
    return [f"{key}:", " " * indent + value]


EDITS: Final = (
    lambda random, line: ["", line],
    lambda random, line: [" " * random.randint(0, 10) + "# above", line],
    lambda random, line: [line + " " * random.randint(1, 5) + "# behind"],
    lambda random, line: [line + "   "],
    lambda random, line: [line.replace(": ", ":   ", 1)],
    lambda random, line: [line.replace(", ", ",", 1)],
    _broken_in_brackets,
    _broken_after_key,
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_layout_is_formatted_once_and_for_all(seed: int) -> None:
    random = Random(seed)
    text = random.choice(TEXTS)
    if random.random() < 0.3:
        text = dumped(random, text)
    text = disordered(random, text)
    if plain(text) is None:  # an edit has made it something else than YAML
        return
    try:
        result = formatted(text, NOWHERE)
    except Unusual:
        return
    assert plain(result) == plain(text)
    assert sorted(found.text for found in read(result).comments) == sorted(
        found.text for found in read(text).comments
    )
    assert formatted(result, NOWHERE) == result


@pytest.mark.slow
def test_a_scenario_dumped_by_another_program_makes_the_same_cases() -> None:
    before = yaml.safe_dump(plain(EVERYTHING), default_flow_style=True, sort_keys=False, width=70)
    after = formatted(before, NOWHERE)
    assert after != before
    assert without_places(loads(after, NOWHERE)) == without_places(loads(before, NOWHERE))


@pytest.mark.slow
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_scenarios_are_in_the_style(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert formatted(text, path) == text


COMMENTED: Final = SMALL.replace("a brk\n", "a brk  # why\n")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (COMMENTED.replace("0xd4200000", "0xd4200001"), "the values are not the same"),
        (f"{COMMENTED}: [", "the result cannot be read"),
        (SMALL, "the comments are not the same"),
    ],
)
def test_a_formatter_that_errs_is_found_out(
    wrong: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formatting, "written", lambda document: wrong)
    with pytest.raises(MeaningChanged, match=message):
        formatted(COMMENTED, NOWHERE)


def test_the_order_of_a_matrix_is_part_of_the_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    """It orders the cases and makes their ids; as YAML both mappings are the same."""
    uses = f"{SMALL}before: [set: {{x1: '${{a}}', x2: '${{b}}'}}]\n"
    before = f"{uses}matrix: {{a: [1, 2], b: [3, 4]}}\n"
    after = f"{uses}matrix: {{b: [3, 4], a: [1, 2]}}\n"
    monkeypatch.setattr(formatting, "written", lambda document: after)
    with pytest.raises(MeaningChanged, match="the cases are not the same"):
        formatted(before, NOWHERE)


def test_an_older_word_is_written_as_the_present_one_and_means_the_same() -> None:
    text = "title: t\n\nguest:\n  words: [0xd4200000]\n  registers: {x0: 1}  # at the start\n"
    assert formatted(text, NOWHERE) == text.replace("registers", "regs")
    both = text.replace("  registers", "  regs: {x1: 2}\n  registers")
    assert formatted(both, NOWHERE) == both
