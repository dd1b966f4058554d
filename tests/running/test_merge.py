"""``scenario merge``: the reports on all shards are the report on the whole."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vcpu_scenario.cli.reports import FORMATS

from tests.commandline import Scenario

from .conftest import breakpoint

Golden = Callable[[str, str], None]


@pytest.fixture
def shards(scenario: Scenario) -> list[str]:
    """The reports on three shards."""
    files = []
    for number in ("1", "2", "3"):
        files.append(f"{number}.json")
        run_shard(scenario, number, files[-1])
    return files


def run_shard(scenario: Scenario, number: str, file: str, *args: str) -> None:
    options = ("--shard", f"{number}/3", "--format", "json", "--output", file)
    assert scenario("run", "s", *options, *args).status == 1


def without_time(text: str) -> str:
    text = re.sub(r" in \d+\.\d\ds =", " =", text)
    text = re.sub(r"=+( \d+ .*?) =+\n", r"=\1=\n", text)
    return re.sub(r' (time|timestamp)="[^"]*"', "", text)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_every_report_is_that_of_one_run(form: str, scenario: Scenario, shards: list[str]) -> None:
    whole = scenario("run", "s", "--format", form)
    merged = scenario("merge", *reversed(shards), "--format", form)
    assert merged.status == whole.status == 1
    assert without_time(merged.out) == without_time(whole.out)
    assert merged.err == ""


@pytest.mark.slow
def test_several_reports_are_made_at_once(scenario: Scenario, shards: list[str]) -> None:
    forms = ("--format", "html", "--output", "r.html", "--format", "junit", "--output", "r.xml")
    assert scenario("merge", *shards, *forms).status == 1
    assert Path("r.html").stat().st_size > 1000
    assert Path("r.xml").read_text().startswith("<?xml")


@pytest.mark.slow
def test_a_merged_report_can_be_merged(scenario: Scenario, shards: list[str]) -> None:
    options = ("--format", "json", "--output", "all.json")
    scenario("merge", *shards, *options)
    again = scenario("merge", "all.json", "--format", "json")
    assert (again.status, again.out) == (1, Path("all.json").read_text())


@pytest.mark.slow
def test_a_lost_shard_is_noticed_and_the_rest_is_reported(
    scenario: Scenario, shards: list[str], golden: Golden
) -> None:
    outcome = scenario("merge", shards[0], shards[2], "--format", "json")
    assert outcome.status == 2
    lost = json.loads(Path("2.json").read_text())["summary"]["total"]
    document = json.loads(outcome.out)
    assert document["summary"]["not_run"] == lost
    total = document["summary"]["total"] + lost
    assert outcome.err == f"no report on shard 2/3: {lost} of {total} cases are lost\n"
    golden("lost-shard.txt", scenario("merge", shards[2]).transcript)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["junit", "ktap", "github", "html"])
def test_a_lost_shard_is_told_in_every_report(
    form: str, scenario: Scenario, shards: list[str]
) -> None:
    outcome = scenario("merge", shards[0], shards[1], "--format", form)
    assert outcome.status == 2
    assert "no report on shard 3/3" in outcome.out


def test_a_lost_shard_is_no_success_where_all_others_succeed(scenario: Scenario) -> None:
    Path("s/wrong.vcpu.yaml").unlink()
    scenario("run", "s", "--shard", "1/2", "--format", "json", "--output", "1.json")
    scenario("run", "s", "--shard", "2/2", "--format", "json", "--output", "2.json")
    assert scenario("merge", "1.json").status == 2
    assert scenario("merge", "1.json", "2.json").status == 0


def test_a_shard_without_cases_is_not_missed(scenario: Scenario) -> None:
    """The matrix leaves it out."""
    found = scenario("matrix", "s", "--shards", "100", "--kernel", "7.3").out.split()
    assert len(found) < 100
    for n, shard in enumerate(found):
        options = ("--kernel", "7.3", "--format", "json", "--output", f"{n}.json")
        scenario("run", "s", "--shard", shard, *options)
    merged = scenario("merge", *(f"{n}.json" for n in range(len(found))), "--format", "json")
    assert merged.out == scenario("run", "s", "--kernel", "7.3", "--format", "json").out
    assert merged.err == ""


@pytest.mark.slow
def test_a_shard_that_was_cut_short_is_noticed(scenario: Scenario, shards: list[str]) -> None:
    run_shard(scenario, "2", "2.json", "-x")
    assert json.loads(Path("2.json").read_text())["summary"]["not_run"] > 0
    outcome = scenario("merge", *shards)
    assert outcome.status == 2
    assert re.search(r"\d+ of \d+ cases were not run", outcome.out)


@pytest.mark.slow
def test_the_report_of_one_run_can_become_any_other(scenario: Scenario) -> None:
    scenario("run", "s", "--format", "json", "--output", "all.json")
    whole = scenario("run", "s")
    assert without_time(scenario("merge", "all.json").out) == without_time(whole.out)


def test_a_case_that_is_lost_from_the_report_of_a_whole_run_is_noticed(scenario: Scenario) -> None:
    scenario("run", "s", "--kernel", "6.12", "--format", "json", "--output", "all.json")
    change("all.json", lambda document: document["cases"].pop(0))
    outcome = scenario("merge", "all.json")
    assert (outcome.status, outcome.out) == (4, "")
    assert "all.json was damaged: its summary is of" in outcome.err


@pytest.mark.slow
def test_reports_on_different_runs_can_be_joined_where_no_case_is_in_two(
    scenario: Scenario,
) -> None:
    for kernel in ("5.10", "6.12"):
        options = ("--kernel", kernel, "--format", "json", "--output", f"{kernel}.json")
        scenario("run", "s", *options)
    merged = scenario("merge", "5.10.json", "6.12.json", "--format", "json")
    assert [case["id"] for case in json.loads(merged.out)["cases"]] == [
        "s/right@5.10/plain",
        "s/right@6.12/plain",
        "s/wrong@6.12/plain",
    ]
    outcome = scenario("merge", "5.10.json", "6.12.json", "5.10.json")
    assert (outcome.status, outcome.out) == (4, "")
    assert "the case s/right@5.10/plain is in both 5.10.json and 5.10.json" in outcome.err


def change(file: str, edit: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(Path(file).read_text())
    edit(document)
    Path(file).write_text(json.dumps(document))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "edit", "complaint"),
    [
        (["1.json", "1.json"], None, "shard 1/3 is in both 1.json and 1.json"),
        (["1.json", "no.json"], None, "cannot read no.json: there is no such file"),
        (["1.json", "s"], None, "cannot read s: it is a folder"),
        (["1.json", "s/right.vcpu.yaml"], None, "s/right.vcpu.yaml is no JSON report of"),
        (
            ["1.json"],
            lambda d: d.pop("cases"),
            "scenario run: the document: expected a key `cases`",
        ),
        (["1.json"], lambda d: d.pop("summary"), "1.json is no JSON report of scenario run: the"),
        (["1.json"], lambda d: d["shard"].pop("of"), "scenario run: shard: expected a key `of`"),
        (["1.json"], lambda d: d.update(cases={}), "cases: expected a list, found {}"),
        (["1.json"], lambda d: d.update(shard=[1]), "shard: expected an object, found [1]"),
        (["1.json"], lambda d: d["shard"].update(of="3"), "shard.of: expected an integer"),
        (
            ["1.json"],
            lambda d: d["summary"].update(not_run="1"),
            "summary.not_run: expected an integer",
        ),
        (["1.json"], lambda d: d["shard"].update(number=2), "1.json was damaged"),
        (["1.json"], lambda d: d["cases"].pop(), "1.json was damaged"),
        (["1.json"], lambda d: d["shard"]["positions"].reverse(), "1.json was damaged"),
        (["1.json"], lambda d: d["shard"].update(cases=1), "1.json was damaged"),
        (["1.json", "2.json"], lambda d: d["shard"].update(digest="0"), "are not of one run"),
        (["1.json", "2.json"], lambda d: d["shard"].update(cases=999), "of 999 cases and of"),
        (["1.json", "2.json"], lambda d: d.pop("shard"), "is on a whole run"),
        (
            ["1.json"],
            lambda d: d["cases"][0].pop("exits"),
            "/plain): expected a key `exits`",
        ),
        (
            ["1.json"],
            lambda d: d["cases"][0].update(exits=[1]),
            "exits[0]: expected an object, found 1",
        ),
        (["1.json"], lambda d: d["cases"][0].update(vmm="qemu"), "1.json: cases[0]: "),
        (["1.json"], lambda d: d["cases"][0].update(verdict="error"), "run the case again"),
        (["1.json"], lambda d: d["cases"][0]["exits"][0].update(pc=4), "run the case again"),
        (["1.json"], lambda d: d["cases"][0].update(scenario="s/wrong.vcpu.yaml"), "has no case"),
    ],
)
def test_what_does_not_belong_together_is_refused_and_nothing_is_written(
    files: list[str],
    edit: Callable[[dict[str, Any]], object] | None,
    complaint: str,
    scenario: Scenario,
    shards: list[str],
) -> None:
    if edit is not None:
        change("1.json", edit)
    Path("out.json").write_text("old")
    outcome = scenario("merge", *files, "--format", "json", "--output", "out.json")
    assert outcome.status == 4, outcome.err
    assert complaint in outcome.err
    assert outcome.err.startswith("scenario: ")
    assert Path("out.json").read_text() == "old"
    assert not [name for name in os.listdir() if name.startswith(".out")]


@pytest.mark.slow
def test_shards_of_different_counts_are_refused(scenario: Scenario, shards: list[str]) -> None:
    scenario("run", "s", "--shard", "1/2", "--format", "json", "--output", "half.json")
    outcome = scenario("merge", "1.json", "half.json")
    assert outcome.status == 4
    assert "1.json and half.json are not of one run: of 3 shards and of 2" in outcome.err


@pytest.mark.slow
def test_a_scenario_that_was_changed_since_is_noticed(
    scenario: Scenario, shards: list[str]
) -> None:
    path = Path("s/right.vcpu.yaml")
    path.write_text(breakpoint(9))
    outcome = scenario("merge", *shards)
    assert (outcome.status, outcome.out) == (4, "")
    assert "the report is not on this version of s/right.vcpu.yaml" in outcome.err
    path.write_text("title: [")
    outcome = scenario("merge", *shards)
    assert (outcome.status, outcome.out) == (4, "")
    assert "s/right.vcpu.yaml:1:" in outcome.err
    path.unlink()
    outcome = scenario("merge", *shards)
    assert (outcome.status, outcome.out) == (4, "")
    assert "cannot read the scenario" in outcome.err


@pytest.mark.slow
def test_a_change_that_changes_no_word_of_the_report_does_no_harm(
    scenario: Scenario, shards: list[str]
) -> None:
    before = scenario("merge", *shards, "--format", "json").out
    with open("s/right.vcpu.yaml", "a") as file:
        file.write("# a comment at the end\n")
    assert scenario("merge", *shards, "--format", "json").out == before


@pytest.mark.slow
def test_all_that_a_trace_holds_comes_back(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scenarios that ship have rings, eventfds, memory, output, refusals and errors."""
    root = Path(__file__).parents[2]
    here = os.getcwd()
    monkeypatch.chdir(root)
    kernels = ("--kernel", "4.14", "--kernel", "5.10", "--kernel", "7.3")
    file = f"{here}/all.json"
    for paths in (["scenarios"], ["tests/cli/data/step", "tests/cli/data/tour"]):
        whole = scenario("run", *paths, *kernels, "--format", "json", "--output", file)
        merged = scenario("merge", file, "--format", "json")
        assert merged.out == Path(file).read_text()
        assert merged.status == whole.status
    every = json.loads(Path(file).read_text())["cases"]
    assert every
