"""The report for programs: every case with its exits and its differences, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from vcpu_scenario.expectation import Expectation
from vcpu_scenario.host.printable import json_text
from vcpu_scenario.interchange.traces import trace_to_json
from vcpu_scenario.report.cite import rules
from vcpu_scenario.source import Span
from vcpu_scenario.trace import Stop
from vcpu_scenario.verdict.records import END, Cause, Mismatch, Place, StopFinding
from vcpu_scenario.verdict.result import Result, tally

_BEGIN: Final = '{\n "cases": ['


def report(
    results: Sequence[Result], *, not_run: int = 0, shard: Mapping[str, Any] | None = None
) -> str:
    """The report as one text; see :func:`pieces`."""
    return "".join(pieces(results, results, not_run=not_run, shard=shard))


def pieces(
    results: Sequence[Result],
    traced: Iterable[Result],
    *,
    not_run: int = 0,
    shard: Mapping[str, Any] | None = None,
) -> Iterator[str]:
    """``{"cases": [...], "summary": {...}}``, ended by a line break, in pieces.

    ``traced`` are the same results again, with their traces, of which none is kept.
    The summary counts cases by verdict; ``not_run`` are those that an interrupt or ``-x`` left.
    The report on a shard has ``shard`` as well, what
    :meth:`vcpu_scenario.running.shards.Share.to_json` gives.

    A case has ``id``, ``scenario`` (its file), ``kernel``, ``vmm``, ``verdict``, ``exits`` with
    the field names of recorded traces, and ``mismatches``.
    Where there is something to say it also has ``params``, ``xfail`` (what the clause says of it:
    ``reason`` and ``link``), ``reason`` (of an error, a skip or an
    xfail, and what is not modelled), ``cut`` (the limit
    that ended the run), ``ended`` (why it did), ``error`` and ``errno`` (the kernel's refusal),
    ``not_modelled`` (``what`` the emulated machine does not model and the ``pc`` there, null
    before the first entry), ``causes`` (the ``rules`` without which the run would be another from
    ``exit`` on, null for the state at the end), ``eventfd``, ``ring``, ``memory``, ``final_regs``,
    ``output``, ``entries`` (each call of ``KVM_RUN``, see
    :func:`vcpu_scenario.interchange.traces.trace_to_json`), ``stops`` and ``findings``.
    """
    before = f"{_BEGIN}\n"
    for result in traced:
        # As the one case of a report, so that it is indented as it is there.
        alone = json_text({"cases": [case_of(result)]})
        yield before + alone.removeprefix(f"{_BEGIN}\n").removesuffix("\n ]\n}\n")
        before = ",\n"
    yield f"{_BEGIN}]" if before != ",\n" else "\n ]"
    rest: dict[str, Any] = {
        "summary": {"total": len(results), **_counts(results), "not_run": not_run}
    }
    if shard is not None:
        rest["shard"] = shard
    yield f",{json_text(rest).removeprefix('{')}"


def _counts(results: Sequence[Result]) -> dict[str, int]:
    return {str(verdict): count for verdict, count in tally(results).items()}


def case_of(result: Result) -> dict[str, Any]:
    """One case of the report."""
    case = result.case
    trace = result.trace
    out: dict[str, Any] = {
        "id": case.id,
        "scenario": str(case.scenario.path),
        "kernel": case.kernel,
        "vmm": case.vmm,
        "verdict": result.verdict,
        "exits": [],
        "mismatches": [_mismatch(mismatch) for mismatch in result.mismatches],
    }
    more = {
        "params": dict(case.params),
        "xfail": _xfail(case.expectation),
        "reason": result.reason,
        "cut": result.cut,
        "causes": [_cause(cause) for cause in result.causes],
        **(trace_to_json(trace) if trace else {}),
        "stops": [_stop(stop) for stop in result.stops],
        "findings": [_finding(finding) for finding in result.findings],
    }
    return out | {key: value for key, value in more.items() if value}


def _xfail(expectation: Expectation | None) -> dict[str, str] | None:
    if expectation is None or expectation.xfail is None:
        return None
    return {"reason": expectation.xfail.reason, "link": expectation.xfail.link}


def _mismatch(mismatch: Mismatch) -> dict[str, Any]:
    return {
        "kind": mismatch.kind,
        "message": mismatch.message,
        **_span(mismatch.span),
        "exit": mismatch.exit,
        "field": mismatch.field or None,
        "expected": mismatch.expected or None,
        "found": mismatch.found or None,
        "guest": _place(mismatch.place) if mismatch.place else None,
        "rules": [
            {
                "name": name,
                "summary": rule.summary if rule else "",
                "commits": [commit.id for commit in rule.commits] if rule else [],
            }
            for name, rule in rules(mismatch.rules)
        ],
        "notes": list(mismatch.notes),
    }


def _cause(cause: Cause) -> dict[str, Any]:
    return {"rules": list(cause.rules), "exit": None if cause.exit == END else cause.exit}


def _span(span: Span) -> dict[str, Any]:
    return {
        "file": span.file,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }


def _place(place: Place) -> dict[str, Any]:
    source = (
        None if place.source is None else {"file": place.source.file, "line": place.source.line}
    )
    return {
        "pc": place.pc,
        "name": place.name,
        "instruction": place.instruction or None,
        "source": source,
    }


def _stop(stop: Stop) -> dict[str, Any]:
    return {"pc": stop.pc, "reason": stop.reason, "exit": stop.exit, "regs": dict(stop.regs)}


def _finding(finding: StopFinding) -> dict[str, Any]:
    return {"kind": finding.kind, "stop": finding.stop, "guest": _place(finding.place)}
