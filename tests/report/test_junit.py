"""JUnit's XML, as junitparser reads it."""

from __future__ import annotations

import junitparser
import pytest
from junitparser import Error, Failure, JUnitXml, Skipped
from vcpu_scenario.report.junit import report
from vcpu_scenario.verdict.result import Result, Verdict, tally

pytestmark = pytest.mark.slow


def cases(text: str) -> dict[str, junitparser.TestCase]:
    return {case.name: case for suite in JUnitXml.fromstring(text.encode()) for case in suite}


def outcomes(text: str) -> dict[str, list[type]]:
    return {name: [type(outcome) for outcome in case.result] for name, case in cases(text).items()}


def test_every_case_has_its_outcome_under_its_id(results: list[Result]) -> None:
    expected = {
        "pass": [],
        "fail": [Failure],
        "error": [Error],
        "skip": [Skipped],
        "xfail": [Skipped],
        "not-modelled": [Error],
    }
    assert outcomes(report(results)) == {
        result.case.id: expected[result.verdict] for result in results
    }


def test_the_counts_written_are_those_that_a_parser_counts(results: list[Result]) -> None:
    counts = tally(results)
    assert min(counts.values()) > 0
    for note in ("", "interrupted"):
        xml = JUnitXml.fromstring(report(results, note=note).encode())
        written = [(each.tests, each.failures, each.errors, each.skipped) for each in (xml, *xml)]
        for each in (*xml, xml):
            each.update_statistics()
        counted = [(each.tests, each.failures, each.errors, each.skipped) for each in (xml, *xml)]
        assert written == counted
        errors = counts[Verdict.ERROR] + counts[Verdict.NOT_MODELLED] + bool(note)
        assert (xml.failures, xml.errors) == (counts[Verdict.FAIL], errors)


def test_a_failure_is_at_its_line_with_all_its_differences(results: list[Result]) -> None:
    test = cases(report(results))["mixed/load@6.12/plain"]
    assert (test.classname, test._elem.get("file")) == ("mixed.load", "mixed/load.vcpu.yaml")
    assert test._elem.get("line") == "60"
    (failure,) = test.result
    assert failure.message == "field len: expected 8, found 4"
    assert "mixed/load.vcpu.yaml:60:38: field len: expected 8, found 4" in failure.text
    assert "final x2: expected 0x2, found 0x1" in failure.text


def test_a_known_failure_says_why_and_keeps_its_differences(results: list[Result]) -> None:
    test = cases(report(results))["mixed/load@5.10/plain"]
    (skipped,) = test.result
    assert skipped.type == "xfail"
    assert skipped.message.startswith("a step is lost (https://")
    assert "missing: debug exit, step at next" in test.system_out


def test_the_kernel_the_vmm_and_the_parameters_are_properties(results: list[Result]) -> None:
    test = cases(report(results))["mixed/hostile[imm=8]@6.12/plain"]
    properties = {each.get("name"): each.get("value") for each in test._elem.iter("property")}
    assert properties == {"kernel": "6.12", "vmm": "plain", "imm": "8"}


def test_what_xml_cannot_hold_is_escaped(results: list[Result]) -> None:
    error = next(
        case for case in cases(report(results)).values() if Error in map(type, case.result)
    )
    assert error.result[0].text.endswith(r"RuntimeError: \x1b[31m")


@pytest.mark.parametrize("count", [0, 1])
def test_a_run_that_is_not_whole_is_an_error(results: list[Result], count: int) -> None:
    passed = [result for result in results if result.verdict == "pass"][:count]
    xml = JUnitXml.fromstring(report(passed, note="no case is selected").encode())
    assert (xml.tests, xml.errors) == (count + 1, 1)
    *_, suite = xml
    ((error,),) = [case.result for case in suite]
    assert error.message == "no case is selected"


def test_the_time_is_left_out_where_it_is_not_known(results: list[Result]) -> None:
    assert JUnitXml.fromstring(report(results, seconds=1.25).encode()).time == 1.25
    assert 'time="' not in report(results)
