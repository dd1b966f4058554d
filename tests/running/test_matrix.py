"""``scenario matrix`` and ``run --shard``: what is printed can be run, and nothing twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.commandline import Scenario

from .conftest import breakpoint

ALL = ("run", "s", "--format", "json")


def ran(scenario: Scenario, *args: str) -> list[str]:
    return [case["id"] for case in json.loads(scenario(*ALL, *args).out)["cases"]]


def listed(scenario: Scenario, *args: str) -> list[str]:
    return scenario("list", "s", *args).out.split()


def shards_of(scenario: Scenario, *args: str) -> list[str]:
    return scenario("matrix", "s", *args).out.split()


@pytest.mark.slow
@pytest.mark.parametrize("count", ["1", "2", "7", "500"])
def test_all_shards_together_run_each_case_once(count: str, scenario: Scenario) -> None:
    shards = shards_of(scenario, "--shards", count)
    cases = [case for shard in shards for case in ran(scenario, "--shard", shard)]
    assert sorted(cases) == sorted(listed(scenario))
    assert len(shards) <= int(count)


def test_a_shard_runs_its_cases_in_order(scenario: Scenario) -> None:
    own = ran(scenario, "--shard", "1/2")
    assert own == [case for case in listed(scenario) if case in own]


def test_no_shard_is_printed_that_would_run_nothing(scenario: Scenario) -> None:
    shards = shards_of(scenario, "--shards", "200", "--kernel", "7.3")
    assert 1 <= len(shards) <= 2
    for shard in shards:
        assert ran(scenario, "--shard", shard, "--kernel", "7.3")


def test_a_shard_without_cases_is_not_green(scenario: Scenario) -> None:
    taken = {shard.partition("/")[0] for shard in shards_of(scenario, "--shards", "500")}
    empty = next(str(n) for n in range(1, 501) if str(n) not in taken)
    outcome = scenario("run", "s", "--shard", f"{empty}/500")
    assert (outcome.status, outcome.err) == (5, f"no case is in shard {empty}/500\n")


def test_there_are_as_many_shards_as_their_size_asks_for(scenario: Scenario) -> None:
    cases = len(listed(scenario))
    assert shards_of(scenario) == ["1/1"]
    assert {shard.partition("/")[2] for shard in shards_of(scenario, "--per-shard", "10")} == {
        str(-(-cases // 10))
    }


def test_what_selects_cases_selects_shards(scenario: Scenario) -> None:
    (entry,) = github(scenario, "-k", "wrong and 7.3")
    assert entry == {"shard": "1/1", "cases": 1}


def github(scenario: Scenario, *args: str) -> list[dict[str, Any]]:
    out = scenario("matrix", "s", "--github", *args).out
    assert out.count("\n") == 1, "a step's output is a line"
    document = json.loads(out)
    assert set(document) == {"include"}
    return list(document["include"])


@pytest.mark.slow
def test_github_gets_a_job_for_each_shard(scenario: Scenario) -> None:
    jobs = github(scenario, "--shards", "3")
    assert [job["shard"] for job in jobs] == ["1/3", "2/3", "3/3"]
    assert sum(job["cases"] for job in jobs) == len(listed(scenario))
    for job in jobs:
        assert len(ran(scenario, "--shard", job["shard"])) == job["cases"]


def test_gitlab_gets_a_job_for_each_shard(scenario: Scenario) -> None:
    document = yaml.safe_load(scenario("matrix", "s", "--gitlab", "--shards", "3").out)
    assert document == {
        "scenarios": {
            "extends": ".scenario-shard",
            "parallel": {"matrix": [{"SHARD": ["1/3", "2/3", "3/3"]}]},
        }
    }


@pytest.mark.slow
@pytest.mark.parametrize(("service", "most"), [("--github", 256), ("--gitlab", 200)])
def test_a_service_gets_no_more_jobs_than_it_runs(
    service: str, most: int, scenario: Scenario, folder: Path
) -> None:
    many = {"n": list(range(40))}
    Path("s/many.vcpu.yaml").write_text(breakpoint(matrix=many, before=[{"set": {"x9": "${n}"}}]))
    assert len(listed(scenario)) > 1000
    document = scenario("matrix", "s", service, "--per-shard", "1").out
    assert document.count("/") <= most
    assert f"/{most}" in document
    assert scenario("matrix", "s", service, "--shards", str(most)).status == 0
    outcome = scenario("matrix", "s", service, "--shards", str(most + 1))
    assert (outcome.status, outcome.out) == (4, "")
    assert f"at most {most} jobs" in outcome.err


@pytest.mark.parametrize("form", [(), ("--github",), ("--gitlab",)])
def test_nothing_selected_is_no_matrix(form: tuple[str, ...], scenario: Scenario) -> None:
    outcome = scenario("matrix", "s", "-k", "nothing", *form)
    assert (outcome.status, outcome.out, outcome.err) == (5, "", "no case is selected\n")
    Path("empty").mkdir()
    outcome = scenario("matrix", "empty", *form)
    assert (outcome.status, outcome.out) == (5, "")


def test_an_invalid_scenario_is_no_matrix(scenario: Scenario) -> None:
    Path("s/bad.vcpu.yaml").write_text("title: 1\n")
    outcome = scenario("matrix", "s", "--github")
    assert (outcome.status, outcome.out) == (4, "")
    assert "s/bad.vcpu.yaml:" in outcome.err


@pytest.mark.parametrize("shard", ["0/2", "3/2", "two", "1/0"])
def test_what_is_no_shard_is_a_usage_error(shard: str, scenario: Scenario) -> None:
    outcome = scenario("run", "s", "--shard", shard)
    assert (outcome.status, outcome.out) == (4, "")
    assert outcome.err.startswith(f"scenario: --shard: `{shard}`")


def test_two_services_at_once_are_a_usage_error(scenario: Scenario) -> None:
    assert scenario("matrix", "s", "--github", "--gitlab").status == 4


SKIPPED = "nothing was run: every case was skipped"


@pytest.fixture
def narrow(scenario: Scenario) -> str:
    """A scenario that expects nothing but of one kernel."""
    path = Path("s/narrow.vcpu.yaml")
    expect = [{"kernels": "6.12", "exits": [{"debug": {"brk": 0x40000004}}]}]
    path.write_text(breakpoint(expect=expect))
    return str(path)


def test_a_run_of_which_every_case_was_skipped_is_not_green(
    scenario: Scenario, narrow: str
) -> None:
    outcome = scenario("run", narrow, "--kernel", "5.10")
    assert (outcome.status, outcome.err) == (5, "")
    assert SKIPPED in outcome.out.splitlines()
    outcome = scenario("run", narrow, "--kernel", "5.10", "--kernel", "6.12")
    assert (outcome.status, SKIPPED in outcome.out) == (0, False)


# What a service makes red of each form.
RED = {
    "junit": '<error type="incomplete" message="nothing was run: every case was skipped" />',
    "ktap": "not ok 2 every case was run # ERROR nothing was run: every case was skipped",
    "github": "::error title=vCPU scenarios::nothing was run: every case was skipped",
    "html": SKIPPED,
}


@pytest.mark.parametrize("form", RED)
def test_no_report_on_nothing_but_skipped_cases_is_green(
    scenario: Scenario, narrow: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    scenario("run", narrow, "--kernel", "5.10", "--format", "json", "--output", "r.json")
    for command in (("run", narrow, "--kernel", "5.10"), ("merge", "r.json")):
        outcome = scenario(*command, "--format", form)
        assert (outcome.status, outcome.err) == (5, f"{SKIPPED}\n")
        assert RED[form] in outcome.out


def test_a_report_in_a_file_leaves_the_terminal_to_say_that_nothing_was_run(
    scenario: Scenario, narrow: str
) -> None:
    outcome = scenario("run", narrow, "--kernel", "5.10", "--output", "report.txt")
    assert (outcome.status, outcome.err) == (5, f"{SKIPPED}\n")
    assert SKIPPED in Path("report.txt").read_text().splitlines()


@pytest.mark.slow
def test_shards_are_the_same_in_another_process(scenario: Scenario, folder: Path) -> None:
    """Python's own hash of a text is another one in each process."""
    root = Path(__file__).parents[2]
    here = ran(scenario, "--shard", "2/5")
    for seed in ("1", "2"):
        outcome = subprocess.run(
            [sys.executable, "-m", "vcpu_scenario", *ALL, "--shard", "2/5"],
            cwd=folder,
            env={"PYTHONPATH": str(root / "runner"), "PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert [case["id"] for case in json.loads(outcome.stdout)["cases"]] == here


@pytest.mark.parametrize("command", ["matrix", "merge"])
def test_help_is_what_its_golden_file_says(command: str, scenario: Scenario, golden: Any) -> None:
    typer = pytest.importorskip("typer")
    if not typer.__version__.startswith("0.28."):
        pytest.skip("each release of Typer words it anew")
    golden(f"help-{command}.txt", scenario(command, "--help").transcript)
