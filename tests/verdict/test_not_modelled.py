"""A run that comes to what the emulated machine does not model: told by name, everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from vcpu_scenario import failure_text
from vcpu_scenario import run as run_api
from vcpu_scenario.analysis.history import histories
from vcpu_scenario.cli.run import status_of
from vcpu_scenario.cli.status import Status
from vcpu_scenario.language import load, loads
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.recordings.conform import check
from vcpu_scenario.recordings.jobs import RecordedJob, RecordedTrace
from vcpu_scenario.report import github, html, junit, ktap
from vcpu_scenario.report.json import report as json_report
from vcpu_scenario.report.ladder import ladder
from vcpu_scenario.report.read import Reader
from vcpu_scenario.report.styled import plain
from vcpu_scenario.report.text import report as text_report
from vcpu_scenario.running.batch import run_on
from vcpu_scenario.running.execute import execute
from vcpu_scenario.running.targets import target
from vcpu_scenario.trace import Trace
from vcpu_scenario.verdict.result import Result

# brk #7; msr spsr_el1, x1 (to AArch32); msr elr_el1, x2; eret
TEXT = """\
title: to AArch32
guest:
  words: [0xd42000e0, 0xd5184001, 0xd5184022, 0xd69f03e0, 0xe3a00001]
  registers: {x1: 0x10, x2: 0x40000010}
debug: {software_breakpoints: true}
expect:
  - exits:
      - debug: {brk: 0x40000000, imm: 7}
      - debug: {brk: 0x40000010, imm: 9}
    final: {regs: {x1: 3}}
"""
REASON = "not modelled: AArch32 state, to which the guest went by an exception return"


def result(text: str = TEXT, kernel: str = "6.12") -> Result:
    (case,) = loads(text, "t.vcpu.yaml").cases([kernel])
    return execute(case, create)


def test_what_was_still_to_come_is_neither_missing_nor_passed() -> None:
    found = result()
    assert found.verdict == "not-modelled"
    assert found.reason == REASON
    assert found.detail.startswith("it came after exit 0, with pc at")
    assert not found.mismatches


def test_an_exit_that_came_before_and_differs_is_a_failure() -> None:
    found = result(TEXT.replace("imm: 7", "imm: 8"))
    assert found.verdict == "fail"
    assert [mismatch.kind for mismatch in found.mismatches] == ["field"]
    assert REASON in found.cut


def test_an_exit_too_many_before_it_is_a_failure() -> None:
    text = TEXT.replace("      - debug: {brk: 0x40000000, imm: 7}\n", "")
    assert result(text).verdict == "fail"


def test_a_never_that_came_before_it_is_a_failure() -> None:
    optional = TEXT.replace("imm: 7}", "imm: 7, repeat: {least: 0, most: 1}}")
    text = optional.replace(
        "    final:", "    never: [debug: {brk: 0x40000000, imm: 7}]\n    final:"
    )
    assert [mismatch.kind for mismatch in result(text).mismatches] == ["never"]


@pytest.mark.parametrize("repeat", ["1", "{least: 1}", "{least: 0, most: 4}", "{least: 3}"])
def test_a_repeat_may_be_cut_short_by_it(repeat: str) -> None:
    text = TEXT.replace("imm: 7}", f"imm: 7, repeat: {repeat}}}")
    assert result(text).verdict == "not-modelled"


def test_it_is_not_the_failure_that_a_clause_knows_of() -> None:
    known = "  - xfail: {reason: known, link: 'https://example.org/1'}\n    exits:"
    text = TEXT.replace("  - exits:", known)
    assert result(text).verdict == "not-modelled"
    assert result(text.replace("imm: 7", "imm: 8")).verdict == "xfail"


def test_a_set_up_that_is_not_modelled_says_so_before_the_first_run() -> None:
    text = TEXT.replace("x1: 0x10", "pstate: 0x1d0, x1: 0x10")
    found = result(text)
    assert found.verdict == "not-modelled"
    assert found.reason == "not modelled: AArch32 state (pstate = 0x1d0)"
    assert found.detail == "it came before the first KVM_RUN"


def test_its_exit_status_is_its_own_and_a_mismatch_counts_for_more() -> None:
    unmodelled, failed = result(), result(TEXT.replace("imm: 7", "imm: 8"))
    passed = result(TEXT.split("      - debug: {brk: 0x40000010")[0])
    assert passed.verdict == "pass"
    assert status_of([unmodelled, passed], complete=True) == Status.NOT_MODELLED
    assert status_of([unmodelled, failed], complete=True) == Status.MISMATCH
    assert status_of([unmodelled], complete=False) == Status.INTERRUPTED


def test_the_text_report_has_a_section_with_the_reason_and_the_place() -> None:
    lines = plain(text_report([result(), result(kernel="6.1")])).splitlines()
    assert lines[0] == "t.vcpu.yaml NN"
    assert " NOT MODELLED " in lines[2]
    assert lines[4:6] == ["to AArch32", "t@6.12/plain and on 6.1"]
    assert lines[6] == REASON
    assert f"NOT MODELLED [2] {REASON.removeprefix('not modelled: ')}" in lines
    assert lines[-1].strip("= ") == "2 not modelled"


def test_the_json_report_is_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "t.vcpu.yaml"
    path.write_text(TEXT)
    (case,) = load(path).cases(["6.12"])
    found = execute(case, create)
    document = json.loads(json_report([found]))
    (told,) = document["cases"]
    assert told["verdict"] == "not-modelled"
    assert told["reason"] == REASON
    assert told["not_modelled"]["what"] == REASON.removeprefix("not modelled: ")
    assert document["summary"]["not-modelled"] == 1
    again = Reader(load).result(told)
    assert (again.verdict, again.reason, again.detail) == (
        found.verdict,
        found.reason,
        found.detail,
    )


def test_junit_has_an_error_of_a_type_of_its_own() -> None:
    root = ET.fromstring(junit.report([result()]))
    (error,) = root.iter("error")
    assert root.get("errors") == "1"
    assert error.get("type") == "not-modelled"
    assert error.get("message") == REASON
    assert not list(root.iter("skipped"))


def test_ktap_is_not_ok_and_counts_it() -> None:
    lines = ktap.report([result()]).splitlines()
    what = REASON.removeprefix("not modelled: ")
    assert f"  not ok 1 t@6.12/plain # NOT_MODELLED {what}" in lines
    assert "not ok 1 6.12 # NOT_MODELLED" in lines
    assert lines[-1].endswith("not-modelled:1")


def test_github_gets_an_annotation_and_a_line_in_the_summary() -> None:
    told = github.report([result()])
    assert told.startswith("::error file=t.vcpu.yaml,")
    assert f"::{REASON}%0At@6.12/plain" in told
    summary = github.summary([result()])
    assert "### Not modelled by the emulated machine" in summary
    assert "1 not modelled" in summary.splitlines()[0]


def test_the_page_shows_it_and_misses_nothing_that_was_to_follow() -> None:
    data = html.document([result()])
    ((_, _, _, (cell,)),) = data["rows"]
    assert cell[0] == "not-modelled"
    detail = data["details"][cell[1]]
    assert detail["reason"] == REASON
    assert detail["came"].startswith("it came after exit 0")
    assert [rung["ok"] for rung in detail["rungs"]] == [True]
    assert "final" not in detail


def test_the_ladder_ends_with_it() -> None:
    lines = plain(ladder(result())).splitlines()
    assert lines[1] == "t@6.12/plain: not modelled"
    assert REASON in lines


def test_history_leaves_such_kernels_out_and_says_why() -> None:
    cases = loads(TEXT, "t.vcpu.yaml").cases(["6.1", "6.12"])
    assert histories(cases) == []


def test_a_recorded_job_that_comes_to_it_is_not_reproduced_and_says_why() -> None:
    (case,) = loads(TEXT, "t.vcpu.yaml").cases(["6.12"])
    job = RecordedJob("j", case.case, "", (RecordedTrace(("6.12",), Trace()),))
    outcome = check(job, "6.12", create, swallows_steps=lambda _: False)
    assert not outcome.reproduced
    assert outcome.error == REASON


def test_failure_text_tells_it() -> None:
    assert REASON in failure_text(result())


def test_an_executor_brings_it_back() -> None:
    cases = loads(TEXT, "t.vcpu.yaml").cases(["6.12"])
    with ThreadPoolExecutor(1) as executor:
        (found,) = run_on(executor, cases)
    assert found == result()
    assert run_api(cases) == [found]


def test_a_machine_of_one_release_gives_it_as_well() -> None:
    (case,) = loads(TEXT, "t.vcpu.yaml").cases(["6.12"])
    with target("emulated:6.12") as emulated:
        found = emulated.run(case.case, "6.12")
    assert str(found.unmodelled) == REASON  # type: ignore[union-attr]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "t.vcpu.yaml"
    path.write_text(TEXT)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_command_tells_it_in_its_status(file: Path, jobs: str) -> None:
    assert process("run", str(file), "--kernel", "6.12", "-j", jobs)[0] == 6


@pytest.mark.slow
def test_compare_compares_nothing_and_says_so(file: Path) -> None:
    machines = ("--machine", "emulated:6.12", "--machine", "emulated:6.1")
    status, told = process("compare", str(file), *machines)
    assert status == 6
    assert f"emulated:6.12: {REASON}" in told
    assert "0 differ" in told
    assert "1 could not be compared" in told


@pytest.mark.slow
def test_explain_has_its_status(file: Path) -> None:
    status, told = process("explain", str(file), "--kernel", "6.12")
    assert status == 6
    assert REASON in told


@pytest.mark.slow
def test_record_writes_nothing(file: Path) -> None:
    status, told = process("record", str(file), "--machine", "emulated:6.12", "--yes")
    assert status == 1
    assert REASON in told
    assert file.read_text() == TEXT


@pytest.mark.slow
def test_merge_has_its_status(file: Path, tmp_path: Path) -> None:
    kept = str(tmp_path / "one.json")
    process("run", str(file), "--kernel", "6.12", "--format", "json", "--output", kept)
    status, told = process("merge", kept)
    assert status == 6
    assert REASON in told


def process(*args: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "vcpu_scenario", *args], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr
