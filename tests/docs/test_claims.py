"""What README.md counts and lists is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from vcpu_scenario.cli import all_commands
from vcpu_scenario.cli.reports import FORMATS
from vcpu_scenario.cli.status import Status
from vcpu_scenario.kernels.release import KNOWN_RELEASES
from vcpu_scenario.recordings.jobs import jobs

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RECORDED = {
    "core (`tests/recorded/core.json.xz`)": "core",
    "protocols": "protocols",
    "GICv2": "gicv2",
    "random programs": "random-1",
}


def test_the_examples_are_as_many_as_there_are() -> None:
    there = len(list((ROOT / "scenarios").rglob("*.vcpu.yaml")))
    assert f"`scenarios/` has {there} examples" in README


def test_the_releases_are_those_of_the_table() -> None:
    between = f"from {KNOWN_RELEASES[0]} to {KNOWN_RELEASES[-1]}"
    assert " ".join(README.split()).count(between) == 2


def test_every_recording_is_listed() -> None:
    listed = {f"{name}.json.xz" for name in RECORDED.values()}
    assert listed == {path.name for path in (ROOT / "tests/recorded").glob("*.json.xz")}


@pytest.mark.parametrize("what", RECORDED)
def test_recorded_jobs_and_runs_are_as_many_as_there_are(what: str) -> None:
    recorded = list(jobs(ROOT / "tests" / "recorded" / f"{RECORDED[what]}.json.xz"))
    runs = sum(len(trace.kernels) for job in recorded for trace in job.traces)
    assert f"| {what} | {len(recorded)} | {runs} |" in README


def test_the_jobs_of_all_recordings_are_as_many_as_is_said() -> None:
    table = README.partition("| recorded | jobs |")[2].partition("\n\n")[0]
    counted = re.findall(r"^\| [^|]+ \| (\d+) \|", table, re.MULTILINE)
    assert f"recordings of {sum(map(int, counted))} jobs" in README


def test_the_commands_are_those_that_there_are() -> None:
    group = typer.main.get_command(all_commands())
    table = README.partition("| command | what it does |")[2].partition("\n\n")[0]
    named: set[str] = set()
    for row in table.replace("\\|", "/").splitlines()[2:]:
        for words in re.findall(r"`([^`]+)`", row.split("|")[1]):
            named.add(words.removeprefix("scenario ").split()[0])
    assert named == set(group.commands)  # type: ignore[attr-defined]


def test_the_formats_are_those_that_there_are() -> None:
    shown = re.search(r"`--format ([^`]+)`", README)
    assert shown is not None
    assert set(shown[1].replace("\\", "").split("|")) == set(FORMATS)


def test_every_exit_status_is_told() -> None:
    said = README.partition("Exit status: ")[2].partition("; the report says")[0]
    assert [int(number) for number in re.findall(r"(?:^|, )(\d) ", said.replace("\n", " "))] == [
        status.value for status in Status
    ]
