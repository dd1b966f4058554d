"""Running many cases: statuses, where the report goes, and how a run may end early."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vcpu_scenario.cli import main, progress
from vcpu_scenario.cli.progress import Bar
from vcpu_scenario.cli.status import Status
from vcpu_scenario.kernels.release import KNOWN_RELEASES
from vcpu_scenario.language.model import ScenarioCase
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.running import execute as execution
from vcpu_scenario.running.targets import Made
from vcpu_scenario.verdict.result import Result

from tests.commandline import Scenario


def test_the_statuses_are_those_of_pytest_and_one_more() -> None:
    assert {status.name: int(status) for status in Status} == {
        "OK": 0,
        "MISMATCH": 1,
        "INTERRUPTED": 2,
        "INTERNAL_ERROR": 3,
        "USAGE": 4,
        "NOTHING_SELECTED": 5,
        "NOT_MODELLED": 6,
    }


def test_a_folder_without_scenarios_is_nothing_selected(scenario: Scenario, tmp_path: Path) -> None:
    for command in ("run", "check", "list", "explain", "assemble"):
        outcome = scenario(command, str(tmp_path))
        assert outcome.status == 5
        assert outcome.err == "no scenario (*.vcpu.yaml) was found\n"


@pytest.mark.parametrize("command", ["run", "check", "list", "matrix", "fmt"])
def test_a_folder_without_scenarios_beside_others_is_an_error(
    scenario: Scenario, tmp_path: Path, command: str
) -> None:
    (tmp_path / "a.vcpu.yml").write_text("")
    outcome = scenario(command, "step", str(tmp_path))
    assert (outcome.status, outcome.out) == (4, "")
    passed_over, none = outcome.err.splitlines()[:2]
    assert passed_over.startswith(f"{tmp_path}/a.vcpu.yml is passed over: ")
    assert none.endswith(f"no scenario (*.vcpu.yaml) was found in {tmp_path}")


def test_json_is_a_whole_document_even_where_nothing_is_selected(scenario: Scenario) -> None:
    outcome = scenario("run", "step", "-k", "nothing", "--format", "json")
    assert outcome.status == 5
    assert json.loads(outcome.out)["summary"]["total"] == 0


def test_a_report_takes_the_place_of_the_file_as_a_whole(
    scenario: Scenario, tmp_path: Path
) -> None:
    target = tmp_path / "report.json"
    target.write_text("old")
    target.chmod(0o640)
    options = ("--format", "json", "--output", str(target))
    outcome = scenario("run", "step", "--kernel", "6.12", *options)
    assert (outcome.status, outcome.out) == (0, "")
    assert json.loads(target.read_text())["summary"]["pass"] == 2
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["report.json"]


def test_a_fresh_report_has_the_modes_that_files_get(scenario: Scenario, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        scenario("run", "step", "--kernel", "6.12", "--output", str(tmp_path / "r.txt"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "r.txt").stat().st_mode) == 0o640


def test_a_report_through_a_link_leaves_the_link(scenario: Scenario, tmp_path: Path) -> None:
    (tmp_path / "real").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    scenario("run", "step", "--kernel", "6.12", "--output", str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert "2 passed" in (tmp_path / "real").read_text()


def test_a_report_may_go_to_a_device(scenario: Scenario) -> None:
    assert scenario("run", "step", "--kernel", "6.12", "--output", os.devnull).status == 0


def test_a_dash_is_standard_output(scenario: Scenario) -> None:
    outcome = scenario("run", "step", "--kernel", "6.12", "--output", "-")
    assert "2 passed" in outcome.out


def test_an_invalid_scenario_leaves_the_old_report(scenario: Scenario, tmp_path: Path) -> None:
    target = tmp_path / "report.txt"
    target.write_text("old")
    assert scenario("run", "broken", "--output", str(target)).status == 4
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.txt"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no/such/folder/r.txt", "no such file or directory"),
        (".", "is a folder"),
        ("file/r.txt", "not a directory"),
        ("", "no file is named"),
    ],
)
def test_where_nothing_can_be_written_nothing_is_run(
    name: str, reason: str, scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(execution, "execute_on", None)
    target = str(tmp_path / name) if name else ""
    outcome = scenario("run", "step", "--output", target)
    assert outcome.status == 4
    assert outcome.out == ""
    assert outcome.err.startswith("scenario: --output: ")
    assert reason in outcome.err


Executed = Callable[[ScenarioCase, Any], Result]


def replace_execute(monkeypatch: pytest.MonkeyPatch, by: Callable[[Executed], Executed]) -> None:
    monkeypatch.setattr(execution, "execute_on", by(execution.execute_on))


def interrupting(times: int) -> Callable[[Executed], Executed]:
    """Ctrl-C, ``times`` times, while the third case runs."""

    def by(execute: Executed) -> Executed:
        count = iter(range(1000))

        def run(case: ScenarioCase, target: Any) -> Result:
            if next(count) == 2:
                for _ in range(times):
                    os.kill(os.getpid(), signal.SIGINT)
            return execute(case, target)

        return run

    return by


def test_ctrl_c_reports_what_is_done(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_execute(monkeypatch, interrupting(1))
    cases = len(scenario("list", "step").out.split())
    outcome = scenario("run", "step", "-j", "0")
    assert outcome.status == 2
    assert f"interrupted: {cases - 3} of {cases} cases were not run" in outcome.out
    assert "3 passed" in outcome.out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_tells_json_readers_how_many_cases_are_missing(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = len(scenario("list", "step").out.split())
    replace_execute(monkeypatch, interrupting(1))
    outcome = scenario("run", "step", "-j", "0", "--format", "json")
    assert json.loads(outcome.out)["summary"] == {
        "total": 3,
        "pass": 3,
        "fail": 0,
        "error": 0,
        "skip": 0,
        "xfail": 0,
        "not-modelled": 0,
        "not_run": cases - 3,
    }


@pytest.mark.parametrize(("once", "done"), [(0.0, 2), (0.3, 3)])
def test_a_second_ctrl_c_gives_up_the_case_unless_it_is_the_first_again(
    once: float, done: int, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vcpu_scenario.host.signals.ONCE", once)
    replace_execute(monkeypatch, interrupting(2))
    outcome = scenario("run", "step", "-j", "0")
    assert outcome.status == 2
    assert f"{done} passed" in outcome.out


def failing(execute: Executed) -> Executed:
    def run(case: ScenarioCase, target: Any) -> Result:
        def broken(kernel: str) -> Machine:
            raise RuntimeError("no machine")

        return execute(case, Made(broken) if case.kernel == "6.1" else target)

    return run


def test_an_error_in_one_case_leaves_the_others(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_execute(monkeypatch, failing)
    outcome = scenario("run", "step", "--kernel", "6.0..6.2")
    assert outcome.status == 1
    assert "2 errors, 4 passed" in outcome.out
    assert "ERROR step/load@6.1/plain - the runner failed: RuntimeError: no machine" in outcome.out
    assert "Traceback" not in outcome.out


def test_an_error_is_a_failure_to_stop_at(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_execute(monkeypatch, failing)
    outcome = scenario("run", "step", "--kernel", "6.0..6.2", "-x")
    assert "stopped at the first failure: 3 of 6 cases were not run" in outcome.out


def test_debug_shows_the_traceback_of_an_error_before_or_after_the_command(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_execute(monkeypatch, failing)
    assert "Traceback" in scenario("--debug", "run", "step", "--kernel", "6.1").out
    assert "Traceback" in scenario("run", "step", "--kernel", "6.1", "--debug").out
    assert "Traceback" not in scenario("run", "step", "--kernel", "6.1").out


def break_everything(*_: object, **__: object) -> None:
    raise RuntimeError("something new\nin two lines")


def test_an_internal_error_is_told_without_a_traceback(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vcpu_scenario.report.text.report", break_everything)
    outcome = scenario("run", "step", "--kernel", "6.12")
    assert outcome.status == 3
    assert outcome.err.splitlines()[0] == ("scenario: internal error: RuntimeError: something new")
    assert "please report it" in outcome.err
    assert "Traceback" not in outcome.err


def test_an_internal_error_has_its_traceback_under_debug(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vcpu_scenario.report.text.report", break_everything)
    outcome = scenario("run", "step", "--kernel", "6.12", "--debug")
    assert outcome.status == 3
    assert "Traceback" in outcome.err


ESCAPE = "\x1b["


def test_colours_are_for_terminals(scenario: Scenario) -> None:
    assert ESCAPE not in scenario("run", "step", "--kernel", "6.12").out


@pytest.mark.slow
def test_colours_can_be_forced_and_forbidden(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = ("run", "step", "--kernel", "6.12")
    assert ESCAPE in scenario(*case, "--color", "always").out
    assert ESCAPE in scenario("--color", "always", *case).out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert ESCAPE in scenario(*case).out
    assert ESCAPE not in scenario(*case, "--color", "never").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert ESCAPE not in scenario(*case).out
    assert ESCAPE in scenario(*case, "--color", "always").out


def test_a_file_gets_no_colours(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    scenario("run", "step", "--kernel", "6.12", "--output", str(tmp_path / "r.txt"))
    assert ESCAPE not in (tmp_path / "r.txt").read_text()


def test_errors_of_scenarios_are_coloured_too(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert ESCAPE in scenario("check", "broken").err


def test_the_bar_comes_on_a_terminal_after_a_while_and_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "is_terminal", lambda stream: stream == "stderr")
    with Bar(3) as early:
        early.advance()
        assert early._progress is None
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    with Bar(3) as bar:
        bar.advance()
        shown = bar._progress
        assert shown is not None
        bar.advance()
        assert shown.tasks[0].completed == 2
    assert not shown.live.is_started


def test_without_a_terminal_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "is_terminal", lambda stream: False)
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    with Bar(3) as bar:
        bar.advance()
        assert bar._progress is None


def test_explaining_shows_what_happens_where_nothing_is_expected(scenario: Scenario) -> None:
    outcome = scenario("explain", "step", "--kernel", "4.19", "--vmm", "plain")
    assert outcome.status == 0
    assert "The scenario expects nothing on 4.19." in outcome.out
    assert "returns before it enters the guest" in outcome.out


def test_the_kernels_table_has_every_rule_in_both_forms(scenario: Scenario) -> None:
    document = json.loads(scenario("kernels", "--format", "json").out)
    table = scenario("kernels").out
    named = {rule["name"] for rule in document["rules"]}
    assert {name for rules in document["kernels"].values() for name in rules} <= named
    assert all(f"\n{name}  " in table for name in named)
    assert all(f"\n{kernel:<6} " in table for kernel in document["kernels"])
    assert all(commit["id"] in table for rule in document["rules"] for commit in rule["commits"])


def test_assemble_keeps_words_and_notices_what_changed(scenario: Scenario, tmp_path: Path) -> None:
    file = tmp_path / "a.vcpu.yaml"
    file.write_text("title: t\nguest:\n  code: nop\n")
    folder = str(tmp_path)
    assert scenario("assemble", "--check", folder).status == 1
    kept = scenario("assemble", folder)
    assert (kept.status, kept.out) == (0, f"{tmp_path}/a.words.json\n1 scenario, 1 file changed\n")
    assert scenario("assemble", folder).out == "1 scenario, 0 files changed\n"
    assert scenario("assemble", "--check", folder).status == 0
    file.write_text("title: t\nguest:\n  code: isb\n")
    stale = scenario("assemble", "--check", folder)
    assert stale.status == 1
    assert f"{tmp_path}/a.words.json: " in stale.err


def test_main_takes_its_arguments_from_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["scenario", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("scenario ")


def test_a_release_that_is_newer_than_any_known_is_taken_for_the_newest_with_a_note(
    scenario: Scenario,
) -> None:
    outcome = scenario("run", "step", "--kernel", "9.9", "--kernel", KNOWN_RELEASES[-1])
    assert outcome.status == 0
    note = f"9.9 is newer than {KNOWN_RELEASES[-1]}, the newest that is known, and taken for it\n"
    assert outcome.err == note
