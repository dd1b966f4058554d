"""Reports are pure functions of results: what they say of every verdict."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace
from vcpu_scenario.language import loads
from vcpu_scenario.language.model import ScenarioCase
from vcpu_scenario.report.json import report as json_report
from vcpu_scenario.report.styled import coloured, line, plain
from vcpu_scenario.report.text import MOST_DIFFERENCES
from vcpu_scenario.report.text import report as text_report
from vcpu_scenario.source import Span
from vcpu_scenario.trace import Exit, Ring, RingEntry, Trace
from vcpu_scenario.verdict.records import END, Cause, Kind, Mismatch, Place, StopFinding
from vcpu_scenario.verdict.result import Result, Verdict

TEXT = """\
title: a title
guest: {words: [0xd503201f]}
expect:
  - about: it is so
    exits: []
"""
CASES = loads(TEXT, "s/t.vcpu.yaml", "").cases(["6.1", "6.2", "6.12"])
CASE = CASES[0]
TRACE = Trace((Exit("DEBUG", 0, 0, 4, {"hsr": 0xCB000022, "far": 0}, {"x0": 1}),))
MISMATCH = Mismatch(Kind.MISSING, "missing: something", Span("nowhere", 1, 2, 1, 3))


def result(verdict: str, case: ScenarioCase = CASE, **more: object) -> Result:
    return Result(case, Verdict(verdict), **more)  # type: ignore[arg-type]


def text(*results: Result, **more: object) -> str:
    return plain(text_report(results, **more))  # type: ignore[arg-type]


def test_cases_that_pass_are_counted_and_nothing_more() -> None:
    marks, last = text(result("pass"), result("pass"), seconds=1.234).splitlines()
    assert marks == "s/t.vcpu.yaml .."
    assert last.strip("=") == " 2 passed in 1.23s "
    assert len(last) == 80


def test_every_verdict_has_its_mark_and_its_count() -> None:
    failed = result("fail", mismatches=(MISMATCH,))
    lines = text(result("pass"), failed, result("error", reason="r"), result("skip", reason="no"))
    assert lines.splitlines()[0] == "s/t.vcpu.yaml .FEs"
    assert "1 failed, 1 error, 1 passed, 1 skipped" in lines
    assert "SKIPPED [1] no" in lines


def test_kernels_that_fail_alike_are_told_once() -> None:
    alike = [result("fail", case, mismatches=(MISMATCH,)) for case in CASES[:2]]
    other = result("fail", CASES[2], mismatches=(replace(MISMATCH, message="missing: other"),))
    lines = text(*alike, other)
    assert "s/t@6.1/plain and on 6.2\n" in lines
    assert lines.count("nowhere:1:2: missing: something") == 1
    assert "s/t@6.12/plain\n" in lines


def test_why_a_clause_is_as_it_is_stands_with_its_failure() -> None:
    assert "\nit is so\n" in text(result("fail", mismatches=(MISMATCH,)))


def test_a_limit_that_cut_the_run_is_told_once() -> None:
    failed = result("fail", mismatches=(MISMATCH,), cut="the run was cut")
    assert text(failed).count("the run was cut") == 1
    noted = replace(MISMATCH, notes=("the run was cut",))
    assert text(replace(failed, mismatches=(noted,))).count("the run was cut") == 1


def test_what_a_debugger_would_see_stands_with_a_failure() -> None:
    finding = StopFinding("skipped", Place(8, "next", 0x91000442), 1)
    lines = text(result("fail", mismatches=(MISMATCH,), findings=(finding,)))
    assert "skipped: next: add x2, x2, #1 ran, and no stop showed it" in lines


def test_of_many_differences_the_first_are_shown_and_the_rest_counted() -> None:
    many = tuple(replace(MISMATCH, message=f"missing: {n}.") for n in range(20))
    lines = text(result("fail", mismatches=many))
    assert f"missing: {MOST_DIFFERENCES - 1}." in lines
    assert f"missing: {MOST_DIFFERENCES}." not in lines
    assert f"and {20 - MOST_DIFFERENCES} more differences" in lines


def test_a_traceback_is_shown_only_when_asked_for() -> None:
    error = result("error", reason="the runner failed: X", detail="Traceback\n  deep inside")
    assert "deep inside" not in text(error)
    assert "deep inside" in text(error, debug=True)


def test_marks_wrap_below_each_other() -> None:
    lines = text(*[result("pass")] * 150, width=80).splitlines()
    assert lines[0] == "s/t.vcpu.yaml " + "." * 66
    assert lines[1] == " " * 14 + "." * 66
    assert lines[2] == " " * 14 + "." * 18


def test_a_rule_is_explained_once_and_named_afterwards() -> None:
    twice = tuple(replace(MISMATCH, message=m, rules=("skip_clears_ss",)) for m in ("a", "b"))
    rules = [
        part for part in text(result("fail", mismatches=twice)).splitlines() if "rule:" in part
    ]
    assert rules[0].startswith("   = rule: skip_clears_ss: ")
    assert rules[1] == "   = rule: skip_clears_ss"


def test_control_characters_do_not_reach_the_terminal() -> None:
    hostile = "\x1b[2J\x07\u202eabc"
    assert plain([line(hostile, (hostile, "fail"))]) == r"\x1b[2J\x07\u202eabc" * 2 + "\n"
    assert "\x07" not in coloured([line((hostile, "fail"))])


def test_colours_change_nothing_but_colours() -> None:
    import re

    lines = text_report([result("fail", mismatches=(MISMATCH,)), result("pass")])
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured(lines)) == plain(lines)
    assert coloured(lines) != plain(lines)


def told(*results: Result, not_run: int = 0) -> dict[str, Any]:
    document = json.loads(json_report(results, not_run=not_run))
    assert isinstance(document, dict)
    return document


def test_json_counts_every_verdict() -> None:
    document = told(result("pass"), result("skip", reason="no"), not_run=3)
    assert document["summary"] == {
        "total": 2,
        "pass": 1,
        "fail": 0,
        "error": 0,
        "skip": 1,
        "xfail": 0,
        "not-modelled": 0,
        "not_run": 3,
    }


def case(outcome: Result) -> dict[str, Any]:
    (only,) = told(outcome)["cases"]
    assert isinstance(only, dict)
    return only


def test_json_has_the_exits_as_recorded_traces_write_them_and_what_caused_them() -> None:
    causes = (Cause(("a_rule",), 0), Cause(("one", "other"), END))
    assert case(result("fail", trace=TRACE, causes=causes)) == {
        "id": "s/t@6.1/plain",
        "scenario": "s/t.vcpu.yaml",
        "kernel": "6.1",
        "vmm": "plain",
        "verdict": "fail",
        "exits": [
            {
                "ret": 0,
                "exit": "DEBUG",
                "pc": 4,
                "hsr": 0xCB000022,
                "far": 0,
                "regs": {"x0": 1},
            }
        ],
        "mismatches": [],
        "causes": [{"rules": ["a_rule"], "exit": 0}, {"rules": ["one", "other"], "exit": None}],
    }


def test_json_has_no_exits_of_a_case_that_did_not_run() -> None:
    skipped = case(result("skip", reason="no such capability"))
    assert (skipped["exits"], skipped["reason"]) == ([], "no such capability")


def test_json_has_what_else_the_run_left_behind() -> None:
    trace = replace(
        TRACE,
        eventfd=(2,),
        ring=Ring(0, 1, (RingEntry(16, 4, b"\1" * 8),)),
        output={"uart": b"hi"},
        memory={64: b"\2"},
        final_regs={"x9": 3},
    )
    told_of = case(result("pass", trace=trace))
    assert told_of["eventfd"] == [2]
    assert told_of["ring"] == {
        "entries": [{"addr": 16, "data": "01" * 8, "len": 4}],
        "first": 0,
        "last": 1,
    }
    assert told_of["output"] == {"uart": "hi"}
    assert told_of["memory"] == [{"addr": 64, "data": "02"}]
    assert told_of["final_regs"] == {"x9": 3}


def test_json_has_everything_of_a_mismatch() -> None:
    place = Place(4, "poll", 0xB9401801, Span("f", 7, 5, 7, 9))
    mismatch = replace(
        MISMATCH, exit=2, field="pc", expected="a", found="b", place=place,
        rules=("skip_clears_ss", "unheard_of"), notes=("n",),
    )  # fmt: skip
    (told_of,) = case(result("fail", mismatches=(mismatch,)))["mismatches"]
    rules = told_of.pop("rules")
    assert [rule["name"] for rule in rules] == ["skip_clears_ss", "unheard_of"]
    assert told_of == {
        "kind": "missing",
        "message": "missing: something",
        "file": "nowhere",
        "line": 1,
        "column": 2,
        "end_line": 1,
        "end_column": 3,
        "exit": 2,
        "field": "pc",
        "expected": "a",
        "found": "b",
        "guest": {
            "pc": 4,
            "name": "poll",
            "instruction": "ldr w1, [x0, #0x18]",
            "source": {"file": "f", "line": 7},
        },
        "notes": ["n"],
    }


@pytest.mark.parametrize("verdict", ["pass", "fail", "error", "skip"])
def test_a_report_has_a_line_for_a_single_case_of_any_verdict(verdict: str) -> None:
    mismatches = (MISMATCH,) if verdict == "fail" else ()
    assert text(result(verdict, mismatches=mismatches)).startswith("s/t.vcpu.yaml ")
