"""The result of one case: what every report is made from."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import astuple, replace

from vcpu_scenario.trace import Stop, Trace
from vcpu_scenario.verdict.guest import Guest
from vcpu_scenario.verdict.records import Cause, Mismatch, StopFinding

if TYPE_CHECKING:
    from vcpu_scenario.language import ScenarioCase


class Verdict(StrEnum):
    """What became of a case; its value is what reports call it."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    """It could not be run, or the runner failed."""
    SKIP = "skip"
    XFAIL = "xfail"
    """It fails, as its clause's ``xfail`` says."""
    NOT_MODELLED = "not-modelled"
    """As expected up to where the emulated machine went no further."""

    __repr__ = str.__repr__

    @property
    def is_bad(self) -> bool:
        """Whether a run with such a case is not a success."""
        return self in (Verdict.FAIL, Verdict.ERROR, Verdict.NOT_MODELLED)

    @property
    def is_judged(self) -> bool:
        """Whether there was a run to compare with what is expected."""
        return self not in (Verdict.SKIP, Verdict.ERROR)


class Result(Struct, frozen=True):
    """What became of a case.

    ``trace`` is None where the case did not run. ``stops`` are the stops that the VMM reported to
    an attached debugger, and ``findings`` what its user sees go wrong in them, expected or not.
    ``reason`` says in one line why a case was skipped, could not be run, or fails as known, and
    what the emulated machine does not model; ``detail`` has the traceback of an error, or where
    the run came to what is not modelled, and ``cut`` says which limit ended the run, if one did.
    A case that fails as its clause's ``xfail`` says is ``xfail``, with its mismatches; one that
    does not fail then is ``fail``, with a mismatch that says so. One that is ``not-modelled`` was
    as expected as far as it went. ``causes`` are the rules
    of the emulated kernel that made the run of a case that is not as expected, and empty elsewhere.
    """

    case: ScenarioCase
    verdict: Verdict
    trace: Trace | None = None
    stops: tuple[Stop, ...] = ()
    mismatches: tuple[Mismatch, ...] = ()
    findings: tuple[StopFinding, ...] = ()
    reason: str = ""
    detail: str = ""
    cut: str = ""
    causes: tuple[Cause, ...] = ()

    def parts(self, *, traces: bool) -> tuple[Any, ...]:
        """All fields but the case, in order, for whoever has the case: ``Result(case, *parts)``.
        Without ``traces`` there is None in place of the trace."""
        kept = self if traces else replace(self, trace=None)
        return astuple(kept)[1:]


def tally(results: Iterable[Result]) -> dict[Verdict, int]:
    """How many results there are of each verdict, those of no result among them."""
    counts = dict.fromkeys(Verdict, 0)
    for result in results:
        counts[result.verdict] += 1
    return counts


def only_skips(results: Iterable[Result]) -> bool:
    """Whether nothing at all was run, for all that there may be results."""
    return all(result.verdict is Verdict.SKIP for result in results)


def guest_of(case: ScenarioCase) -> Guest:
    """The guest's code under the names that the scenario gives it."""
    return Guest(case.case, case.symbols, case.lines)
