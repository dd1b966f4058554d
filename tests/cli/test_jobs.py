"""``-j``: several processes give what one gives, and a case that ends its process ends alone."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from vcpu_scenario.language.model import ScenarioCase
from vcpu_scenario.running import execute as execution
from vcpu_scenario.verdict.result import Result

from tests.commandline import Scenario

from .conftest import children

Executed = Callable[[ScenarioCase, Any], Result]


def replace_execute(monkeypatch: pytest.MonkeyPatch, on: str, do: Callable[[], object]) -> None:
    """``do`` is done while a case on the kernel ``on`` runs."""
    execute = execution.execute_on

    def run(case: ScenarioCase, target: Any) -> Result:
        if case.kernel == on:
            do()
        return execute(case, target)

    monkeypatch.setattr(execution, "execute_on", run)


@pytest.mark.slow
@pytest.mark.parametrize("report", ["text", "json"])
def test_several_processes_print_what_one_prints(report: str, scenario: Scenario) -> None:
    run = ("run", "wrong", "step", "tour", "--format", report)
    alone = scenario(*run, "-j", "0")
    assert alone.status == 1
    for jobs in ("1", "2", "3", "100"):
        assert scenario(*run, "-j", jobs).transcript == alone.transcript


@pytest.mark.slow
def test_the_first_failure_is_the_same_one(scenario: Scenario) -> None:
    run = ("run", "step", "wrong", "-x")
    assert scenario(*run, "-j", "3").transcript == scenario(*run).transcript


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_case_that_ends_its_process_is_an_error_and_the_others_go_on(
    jobs: str, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_execute(monkeypatch, "6.1", os.abort)
    outcome = scenario("run", "step", "--kernel", "6.0..6.2", "-j", jobs)
    assert outcome.status == 1
    assert "2 errors, 4 passed" in outcome.out
    assert (
        "ERROR step/load@6.1/plain - the process that ran the case was killed by SIGABRT"
        in outcome.out
    )


def test_json_says_what_ended_a_case(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_execute(monkeypatch, "6.1", lambda: os.kill(os.getpid(), signal.SIGSEGV))
    run = ("run", "step", "--kernel", "6.0..6.2", "--vmm", "plain", "--format", "json")
    cases = json.loads(scenario(*run).out)["cases"]
    assert [(case["kernel"], case["verdict"]) for case in cases] == [
        ("6.0", "pass"),
        ("6.1", "error"),
        ("6.2", "pass"),
    ]
    assert cases[1]["reason"] == "the process that ran the case was killed by SIGSEGV"
    assert cases[1]["exits"] == []


def interrupt_the_parent() -> None:
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(0.5)  # until it has heard of it


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_reports_what_is_done_and_leaves_nothing_behind(
    jobs: str, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_execute(monkeypatch, "5.0", interrupt_the_parent)
    before = children()
    outcome = scenario("run", "step", "--format", "json", "-j", jobs)
    assert outcome.status == 2
    document = json.loads(outcome.out)
    summary = document["summary"]
    assert summary["pass"] == summary["total"] == len(document["cases"]) > 0
    listed = scenario("list", "step").out.split()
    assert summary["not_run"] == len(listed) - summary["total"] > 0
    done = [case["id"] for case in document["cases"]]
    assert done == [name for name in listed if name in done]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert children() == before


@pytest.mark.slow
def test_a_second_ctrl_c_gives_up_what_is_running_and_reports_the_rest(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def insist() -> None:
        interrupt_the_parent()
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(60)

    replace_execute(monkeypatch, "5.0", insist)
    before = children()
    outcome = scenario("run", "step", "-j", "2", "--format", "json")
    assert outcome.status == 2
    summary = json.loads(outcome.out)["summary"]
    listed = scenario("list", "step").out.split()
    assert summary["not_run"] == len(listed) - summary["total"] > 0
    assert children() == before


def test_a_number_of_processes_below_none_is_a_usage_error(scenario: Scenario) -> None:
    outcome = scenario("run", "step", "-j", "-1")
    assert outcome.status == 4
    assert "-j" in outcome.err
