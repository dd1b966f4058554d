"""One case as the page shows it: what the script in ``assets`` lays out, as plain data.

The page has one of these for every two cases that came out differently: what names the case
(its kernel above all) is not in it, so that kernels that behave alike share theirs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from vcpu_scenario.expectation import Expectation, ExpectedStop
from vcpu_scenario.report.beside import Beside, Field, beside, fields_of, final_state
from vcpu_scenario.report.difference import finding_words, where
from vcpu_scenario.report.rungs import Rung, rungs
from vcpu_scenario.source import excerpt
from vcpu_scenario.trace import Exit, Stop, observed
from vcpu_scenario.verdict.guest import Guest
from vcpu_scenario.verdict.records import Mismatch, Place
from vcpu_scenario.verdict.result import Result, Verdict, guest_of

Data: TypeAlias = dict[str, Any]

MOST_RUNGS: Final = 200
"""Rungs shown of one case: nobody reads a longer ladder, and every browser must bear all."""

_MOST_INSTRUCTIONS: Final = 16


def case_data(result: Result) -> Data:
    """What the page shows of a result, apart from its name; without what there is nothing of."""
    expectation, trace = result.case.expectation, result.trace
    mismatches = [_mismatch(mismatch) for mismatch in result.mismatches]
    data = {
        **(_clause(expectation) if expectation is not None else {}),
        "reason": result.reason,
        "detail": result.detail if result.verdict is Verdict.ERROR else None,
        "came": result.detail if result.verdict is Verdict.NOT_MODELLED else None,
        "cut": result.cut,
        "error": trace.error if trace is not None else None,
        "mismatches": mismatches,
        "rungs": _ladder(result),
        "stops": _stops(result),
        "final": [_field(field) for field in final_state(result)],
    }
    return _without_nothing(data)


def rules_of(result: Result) -> Iterator[str]:
    """The names of all rules that the result speaks of."""
    for cause in result.causes:
        if 0 <= cause.exit < MOST_RUNGS:
            yield from cause.rules
    for mismatch in result.mismatches:
        yield from mismatch.rules


def _clause(expectation: Expectation) -> Data:
    known = expectation.xfail
    return {
        "about": " ".join(expectation.about.split()),
        "at": where(expectation.span),
        "xfail": {"reason": known.reason, "link": known.link} if known is not None else None,
    }


def _ladder(result: Result) -> list[Data]:
    """The rungs, with those that were expected and did not come at their places."""
    climbed = rungs(result)
    pairs = _so_far(result, beside(result))
    states = observed(result.trace.exits) if result.trace is not None else []
    data = [_rung(rung, states[rung.index], result) for rung in climbed]
    if pairs is None:
        guest = guest_of(result.case)
        out = [rung | {"fields": _came(climbed[n].exit, guest)} for n, rung in enumerate(data)]
    else:
        out = [
            _missing(pair) if pair.exit is None else _paired(data[pair.exit], pair)
            for pair in pairs
        ]
    more = len(out) - MOST_RUNGS
    return out if more <= 0 else [*out[:MOST_RUNGS], {"more": more}]


def _so_far(result: Result, pairs: Sequence[Beside] | None) -> Sequence[Beside] | None:
    """The pairs up to the last exit that came, where what was to follow is not modelled."""
    if pairs is None or result.verdict is not Verdict.NOT_MODELLED:
        return pairs
    came = [number for number, pair in enumerate(pairs) if pair.exit is not None]
    return pairs[: came[-1] + 1] if came else ()


def _came(exit_: Exit, guest: Guest) -> list[list[Any]]:
    return [_field(Field(name, None, found)) for name, found in fields_of(exit_, guest).items()]


def _missing(pair: Beside) -> Data:
    return {"ok": False, **_expected(pair)}


def _paired(rung: Data, pair: Beside) -> Data:
    return rung | {"ok": pair.ok, **_expected(pair)}


def _expected(pair: Beside) -> Data:
    data = {
        "expected": pair.expected,
        "line": pair.span.line if pair.span is not None else None,
        "fields": [_field(field) for field in pair.fields],
    }
    return _without_nothing(data)


def _rung(rung: Rung, registers: Mapping[str, int], result: Result) -> Data:
    data = {
        "vmm": list(rung.vmm),
        "kvm": list(rung.kvm),
        "from": rung.entry.name if rung.executed is None else None,
        "run": [_place(place) for place in (rung.executed or ())[:_MOST_INSTRUCTIONS]],
        "run_more": max(0, len(rung.executed or ()) - _MOST_INSTRUCTIONS),
        "held": _place(rung.held) if rung.held is not None else None,
        "head": rung.headline,
        "hsr": f"{rung.exit.fields['hsr']:#x}: {rung.syndrome}" if rung.syndrome else None,
        "rules": [rule for cause in rung.causes for rule in cause.rules],
        "told": [stop.reason.replace("_", " ") for stop in rung.stops],
        "findings": [finding_words(finding) for finding in rung.findings],
        "regs": [[reg, f"{value:#x}", reg in rung.exit.regs] for reg, value in registers.items()],
        "wrong": len(rung.mismatches),
    }
    return {"n": rung.index, **_without_nothing(data)}


def _place(place: Place) -> list[Any]:
    """[its name, the instruction, the line that it comes from or None]"""
    line = place.source.line if place.source is not None else None
    return [place.name, place.instruction, line]


def _field(field: Field) -> list[Any]:
    return [field.name, field.expected, field.found, field.ok]


def _mismatch(mismatch: Mismatch) -> Data:
    place = mismatch.place
    data = {
        "message": mismatch.message,
        "at": where(mismatch.span),
        "excerpt": excerpt(mismatch.span),
        "notes": list(mismatch.notes),
        "guest": _place(place) if place is not None and place.instruction else None,
        "rules": list(mismatch.rules),
        "exit": None if mismatch.kind.is_of_stops else mismatch.exit,
    }
    return _without_nothing(data)


def _stops(result: Result) -> Data | None:
    """What the debugger was told, beside what it should have been told where that is said."""
    expectation = result.case.expectation
    guest = guest_of(result.case)
    wanted = expectation.stops if expectation is not None else None
    told = [_stop(stop, guest) for stop in result.stops[:MOST_RUNGS]]
    if not told and not wanted:
        return None
    findings: list[Data] = [
        {"stop": finding.stop, "words": finding_words(finding)} for finding in result.findings
    ]
    expected = None if wanted is None else [_expected_stop(stop) for stop in wanted[:MOST_RUNGS]]
    return _without_nothing({"told": told, "findings": findings}) | {"expected": expected}


def _stop(stop: Stop, guest: Guest) -> str:
    return _stop_words(guest.name(stop.pc), stop.reason)


def _expected_stop(stop: ExpectedStop) -> str:
    return _stop_words(stop.written, stop.reason)


def _stop_words(where: str, reason: str | None) -> str:
    return f"{where}: {reason.replace('_', ' ')}" if reason else where


def _without_nothing(data: Data) -> Data:
    return {key: value for key, value in data.items() if value not in (None, "", [], {}, 0)}


def shape(result: Result) -> bytes:
    """The same for results whose exits are the same in every field."""
    trace = result.trace
    return b"" if trace is None else digest(repr((trace.error, trace.exits)))


def digest(text: str) -> bytes:
    """Stands for ``text``, which may be long, where equal texts are looked for."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
