"""The report for CI servers: JUnit's XML, as Jenkins, GitLab and GitHub's actions read it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Final

from vcpu_scenario.host.printable import printable
from vcpu_scenario.report.styled import plain
from vcpu_scenario.report.text import failure
from vcpu_scenario.source import Span
from vcpu_scenario.verdict.result import Result, Verdict, tally


def report(results: Sequence[Result], *, seconds: float | None = None, note: str = "") -> str:
    """A document with a suite for each scenario and a test case for each case.

    ``seconds`` is how long the run took, left out if None. ``note`` says why there are fewer
    results than were asked for: that is an error of its own, in a suite called ``run``, so that
    a run which ended early or ran nothing is not taken for a good one.
    """
    counts = _counts(results, bool(note))
    time = {"time": f"{seconds:.3f}"} if seconds is not None else {}
    root = ET.Element("testsuites", {"name": "vcpu-scenario", **counts, **time})
    for name, group in groupby(results, lambda result: result.case.scenario.name):
        of_scenario = list(group)
        suite = ET.SubElement(root, "testsuite", {"name": printable(name), **_counts(of_scenario)})
        for result in of_scenario:
            _test_case(suite, result)
    if note:
        suite = ET.SubElement(root, "testsuite", {"name": "run", **_counts((), True)})
        whole = ET.SubElement(suite, "testcase", {"classname": "run", "name": "every case was run"})
        ET.SubElement(whole, "error", {"type": "incomplete", "message": printable(note)})
    ET.indent(root, " ")
    # `##[` is a command in the logs of some CI services.
    text = ET.tostring(root, encoding="unicode").replace("##", "#&#35;")
    return f"<?xml version='1.0' encoding='utf-8'?>\n{text}\n"


def _counts(results: Sequence[Result], incomplete: bool = False) -> dict[str, str]:
    counts = tally(results)
    return {
        "tests": str(len(results) + incomplete),
        "failures": str(counts[Verdict.FAIL]),
        "errors": str(counts[Verdict.ERROR] + counts[Verdict.NOT_MODELLED] + incomplete),
        "skipped": str(counts[Verdict.SKIP] + counts[Verdict.XFAIL]),
    }


def _test_case(suite: ET.Element, result: Result) -> None:
    case = result.case
    span = _place(result)
    attributes = {
        "classname": printable(case.scenario.name).replace("/", "."),
        "name": printable(case.id),
        "file": printable(span.file),
        "line": str(span.line),
    }
    test = ET.SubElement(suite, "testcase", attributes)
    properties = ET.SubElement(test, "properties")
    told = {"kernel": case.kernel, "vmm": case.vmm, **case.params}
    for name, value in told.items():
        ET.SubElement(
            properties, "property", {"name": printable(name), "value": printable(str(value))}
        )
    outcome = _OUTCOMES.get(result.verdict)
    if outcome is not None:
        outcome(test, result)


def _place(result: Result) -> Span:
    """The line that a failure is shown at: the first that it breaks, else the clause."""
    if result.mismatches:
        return result.mismatches[0].span
    if result.case.expectation is not None:
        return result.case.expectation.span
    return Span(str(result.case.scenario.path), 1, 1, 1, 1)


def _failed(test: ET.Element, result: Result) -> None:
    first = result.mismatches[0]
    element = ET.SubElement(
        test, "failure", {"type": first.kind, "message": printable(first.message)}
    )
    element.text = _differences(result)


def _error(test: ET.Element, result: Result) -> None:
    element = ET.SubElement(test, "error", {"type": "runner", "message": printable(result.reason)})
    element.text = "\n".join(map(printable, result.detail.splitlines()))


def _not_modelled(test: ET.Element, result: Result) -> None:
    told = {"type": "not-modelled", "message": printable(result.reason)}
    ET.SubElement(test, "error", told).text = printable(result.detail)


def _skipped(test: ET.Element, result: Result) -> None:
    ET.SubElement(test, "skipped", {"type": result.verdict, "message": printable(result.reason)})


def _xfailed(test: ET.Element, result: Result) -> None:
    _skipped(test, result)
    ET.SubElement(test, "system-out").text = _differences(result)


def _differences(result: Result) -> str:
    return plain(failure([result])).strip("\n")


_OUTCOMES: Final[Mapping[Verdict, Callable[[ET.Element, Result], None]]] = {
    Verdict.FAIL: _failed,
    Verdict.ERROR: _error,
    Verdict.SKIP: _skipped,
    Verdict.XFAIL: _xfailed,
    Verdict.NOT_MODELLED: _not_modelled,
}
