"""GitHub's actions: annotations at the right lines, the rest in the summary."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace
from vcpu_scenario.report import github
from vcpu_scenario.report.github import (
    MOST_ANNOTATIONS,
    MOST_BYTES,
    every_annotation,
    report,
    summary,
)
from vcpu_scenario.verdict.result import Result

pytestmark = pytest.mark.slow


def unescaped(text: str) -> str:
    """As the runner of actions reads a workflow command's parts."""
    for code, char in {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}.items():
        text = text.replace(code, char)
    return text


def commands(text: str) -> list[tuple[dict[str, str], str]]:
    """Each command's properties and message, parsed by the documented grammar."""
    out = []
    for line in text.splitlines():
        match = re.fullmatch(r"::error ([^:]*)::(.*)", line)
        assert match is not None, line
        properties = dict(part.split("=", 1) for part in match[1].split(","))
        out.append(({k: unescaped(v) for k, v in properties.items()}, unescaped(match[2])))
    return out


def test_each_failure_is_annotated_at_its_line_before_any_is_twice(results: list[Result]) -> None:
    found = commands(report(results))
    assert len(found) <= MOST_ANNOTATIONS
    assert [(each["file"], each["line"]) for each, _ in found] == [
        ("mixed/hostile.vcpu.yaml", "15"),  # the error: where its clause begins
        ("mixed/hostile.vcpu.yaml", "17"),
        ("mixed/load.vcpu.yaml", "28"),
        ("mixed/load.vcpu.yaml", "66"),
        ("mixed/load.vcpu.yaml", "60"),
        ("mixed/load.vcpu.yaml", "61"),  # from here on the further differences
        ("mixed/load.vcpu.yaml", "63"),
        ("mixed/load.vcpu.yaml", "63"),
        ("mixed/unmodelled.vcpu.yaml", "12"),
    ]


def test_kernels_that_part_at_one_place_alike_share_an_annotation(results: list[Result]) -> None:
    messages = [message for each, message in commands(report(results)) if each["line"] == "66"]
    assert [message.splitlines()[-1] for message in messages] == ["on 5.10, 6.12 with qemu-2017"]


def test_columns_are_those_of_the_text_that_broke(results: list[Result]) -> None:
    each, message = next(found for found in commands(report(results)) if found[0]["line"] == "60")
    line = Path(each["file"]).read_text().splitlines()[59]
    assert line[int(each["col"]) - 1 : int(each["endColumn"]) - 1] == "8"
    assert message.splitlines() == [
        "field len: expected 8, found 4",
        "in exit 1: MMIO read of 4 bytes from uart+0x18 at poll",
        "on 6.12 with plain",
    ]


def test_paths_are_those_of_the_repository(results: list[Result]) -> None:
    root = str(Path.cwd().parent)
    files = {each["file"] for each, _ in commands(report(results, root=root))}
    names = ("hostile", "load", "unmodelled")
    assert files == {f"data/mixed/{name}.vcpu.yaml" for name in names}


def test_hostile_text_is_one_message_and_no_command(results: list[Result]) -> None:
    titles = {each["title"] for each, _ in commands(report(results))}
    assert '</script><script>alert(1)</script> & "quotes" `ticks` # | ::error::' in titles


def test_of_many_differences_ten_are_annotated_and_all_are_in_the_summary(
    results: list[Result],
) -> None:
    failed = next(result for result in results if result.verdict == "fail")
    first = failed.mismatches[0]
    many = [
        replace(failed, mismatches=(replace(first, message=f"difference {n} of many"),))
        for n in range(25)
    ]
    assert len(report(many).splitlines()) == 10
    text = summary(many)
    assert all(f"difference {n} of many" in text for n in range(25))
    assert "15 of what is below could not be annotated." in text


def test_what_was_not_run_is_the_first_annotation(results: list[Result]) -> None:
    ((properties, message), *_) = commands(report(results, note="interrupted: 3 not run"))
    assert properties == {"title": "vCPU scenarios"}
    assert message == "interrupted: 3 not run"
    assert len(report([], note="no case is selected").splitlines()) == 1


def test_what_is_as_expected_or_known_is_not_annotated(results: list[Result]) -> None:
    good = [result for result in results if result.verdict in ("pass", "xfail", "skip")]
    assert report(good) == ""
    assert every_annotation(good) == ()


def test_the_summary_tells_known_failures_and_skips_with_their_reasons(
    results: list[Result],
) -> None:
    text = summary(results)
    assert "- 1 × a step is lost (https://lore.kernel.org/r/87k20bxm13.fsf@linaro.org)\n" in text
    assert "- 1 × nothing is expected on 6.4 with qemu-2017\n" in text


def test_nothing_in_the_summary_closes_its_fence(results: list[Result]) -> None:
    failed = next(result for result in results if result.verdict == "fail")
    noted = replace(failed.mismatches[0], notes=("```", "````"))
    text = summary([replace(failed, mismatches=(noted,))])
    assert text.count("`````") == 2


@pytest.mark.parametrize("room", [2_000, 3_000])
def test_a_summary_is_never_longer_than_github_takes(
    results: list[Result], room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_BYTES == 1024 * 1024
    monkeypatch.setattr(github, "MOST_BYTES", room)
    text = summary(results)
    assert len(text.encode()) <= room
    assert re.search(r"\n\d+ more are left out: GitHub takes no longer summary\.\n\Z", text)
    assert text.count("<details>") == text.count("</details>")
