"""``scenario conform``: what of recorded traces the machine reproduces, and what is told of it."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.recordings import conform
from vcpu_scenario.recordings.jobs import jobs

from tests.commandline import Scenario

from .conftest import DATA, children


def recorded(name: str) -> str:
    return str(Path("recorded") / name)


@pytest.mark.slow
def test_all_reproduced_is_success_and_any_miss_is_not(scenario: Scenario) -> None:
    assert scenario("conform", recorded("right.json")).status == 0
    assert scenario("conform", recorded("wrong.json")).status == 1
    assert scenario("conform", recorded("right.json"), recorded("wrong.json")).status == 1


def test_json_counts_by_kernel_oldest_first(scenario: Scenario) -> None:
    outcome = scenario("conform", recorded("right.json"), "--format", "json")
    entry = {"exact": 1, "with_host_interrupt": [], "misses": []}
    assert json.loads(outcome.out) == {
        "kernels": {
            "5.0": entry | {"total": 1},
            "5.10": entry | {"total": 1},
            "6.12": entry | {"total": 3, "exact": 3},
        }
    }
    assert list(json.loads(outcome.out)["kernels"]) == ["5.0", "5.10", "6.12"]


def test_kernels_and_words_narrow_it(scenario: Scenario) -> None:
    def totals(*options: str) -> dict[str, int]:
        outcome = scenario("conform", recorded("right.json"), "--format", "json", *options)
        kernels = json.loads(outcome.out)["kernels"]
        return {name: entry["total"] for name, entry in kernels.items()}

    assert totals("--kernel", "6.12") == {"6.12": 3}
    assert totals("--kernel", "5.0..5.10") == {"5.0": 1, "5.10": 1}
    assert totals("--kernel", "5.0", "--kernel", "6.12") == {"5.0": 1, "6.12": 3}
    assert totals("-k", "mmio") == {"5.10": 1, "6.12": 1}
    assert totals("-k", "not mmio and @6.12") == {"6.12": 2}


def test_a_file_named_twice_counts_once(scenario: Scenario) -> None:
    run = ("conform", recorded("right.json"), "./recorded/right.json", "--format", "json")
    assert json.loads(scenario(*run).out)["kernels"]["6.12"]["total"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("report", ["text", "json"])
def test_several_processes_print_what_one_prints(report: str, scenario: Scenario) -> None:
    run = ("conform", recorded("right.json"), recorded("wrong.json"), "--format", report)
    alone = scenario(*run, "-j", "0")
    for count in ("1", "2", "5"):
        assert scenario(*run, "-j", count).transcript == alone.transcript


def test_the_report_goes_where_it_should(scenario: Scenario, tmp_path: Path) -> None:
    target = tmp_path / "r.json"
    run = ("conform", recorded("right.json"), "--format", "json", "--output", str(target))
    assert scenario(*run).out == ""
    assert json.loads(target.read_text())["kernels"]["6.12"]["exact"] == 3
    assert scenario("conform", recorded("left.json"), "--output", str(target)).status == 4
    assert json.loads(target.read_text())["kernels"]["6.12"]["exact"] == 3


@pytest.mark.slow
def test_a_trace_recorded_with_a_host_interrupt_is_told_apart(scenario: Scenario) -> None:
    path = str(DATA.parents[1] / "recorded" / "random-1.json.xz")
    run = ("conform", path, "-k", "rnd-1024@5.0")
    outcome = scenario(*run, "--format", "json")
    assert outcome.status == 0
    assert json.loads(outcome.out)["kernels"]["5.0"] == {
        "total": 1,
        "exact": 0,
        "with_host_interrupt": [{"job": "rnd-1024", "file": path, "after_exit": 0}],
        "misses": [],
    }
    assert f"{path}: rnd-1024 on 5.0, after exit 0\n" in scenario(*run).out


def test_a_kernel_that_is_unknown_can_be_left_out(scenario: Scenario) -> None:
    assert scenario("conform", recorded("old.json")).status == 4
    assert scenario("conform", recorded("old.json"), "--kernel", ">=4.14").status == 0


def test_a_job_that_ends_its_process_is_a_miss_and_the_others_go_on(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = conform.check

    def dying(job: Any, kernel: str, *args: Any, **more: Any) -> Any:
        if job.name == "ioeventfd-nostep":
            os.kill(os.getpid(), signal.SIGSEGV)
        return check(job, kernel, *args, **more)

    monkeypatch.setattr(conform, "check", dying)
    outcome = scenario("conform", recorded("right.json"), "--format", "json")
    assert outcome.status == 1
    entry = json.loads(outcome.out)["kernels"]["6.12"]
    assert (entry["total"], entry["exact"]) == (3, 2)
    assert entry["misses"] == [
        {
            "job": "ioeventfd-nostep",
            "file": "recorded/right.json",
            "at": "the run",
            "error": "the process that ran the case was killed by SIGSEGV",
        }
    ]
    assert "killed by SIGSEGV" in scenario("conform", recorded("right.json")).out


@pytest.mark.slow
def test_ctrl_c_reports_what_is_done(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    check = conform.check

    def interrupting(job: Any, kernel: str, *args: Any, **more: Any) -> Any:
        if job.name == "ioeventfd-nostep":
            os.kill(os.getppid(), signal.SIGINT)
            time.sleep(0.5)  # until it has heard of it
        return check(job, kernel, *args, **more)

    monkeypatch.setattr(conform, "check", interrupting)
    before = children()
    outcome = scenario("conform", recorded("right.json"))
    assert outcome.status == 2
    assert "3 reproduced, 0 missed" in outcome.out
    assert "interrupted: 2 traces were not compared" in outcome.out
    assert children() == before


def test_a_kernel_on_which_a_job_was_not_recorded_cannot_be_compared() -> None:
    (job, *_) = jobs(DATA / "recorded" / "right.json")
    with pytest.raises(ValueError, match=r"was not recorded on 4\.14"):
        conform.check(job, "4.14", create, swallows_steps=lambda name: False)
