"""Runs one case: scenario case, machine, trace, verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vcpu_scenario.host.signals import is_interruption
from vcpu_scenario.running.targets import Create, Lost, Made, Skipped, lacks_capability
from vcpu_scenario.trace import Stop, Trace
from vcpu_scenario.verdict.judge import (
    as_known,
    ended_as_expected,
    ending,
    judge,
    judge_so_far,
    reached,
)
from vcpu_scenario.verdict.overrun import without_overrun
from vcpu_scenario.verdict.result import Result, Verdict, guest_of
from vcpu_scenario.verdict.stops import findings

if TYPE_CHECKING:
    from vcpu_scenario.case import Limits
    from vcpu_scenario.expectation import Expectation
    from vcpu_scenario.language import ScenarioCase
    from vcpu_scenario.running.targets import Target
    from vcpu_scenario.verdict.guest import Guest
    from vcpu_scenario.verdict.records import Mismatch, StopFinding


def execute(scenario_case: ScenarioCase, create: Create) -> Result:
    """Runs ``scenario_case`` on a machine of its own and judges what came."""
    return execute_on(scenario_case, Made(create))


def execute_on(scenario_case: ScenarioCase, target: Target) -> Result:
    """Runs ``scenario_case`` on ``target`` and judges what came.

    What the machine cannot do is a ``skip``, and so is a capability that a kernel of its own
    lacks; one that does not model it gives ``not-modelled``; a case over which it fails, panics or
    hangs is an ``error``. Raises what keeps a real machine from running any case at all.
    """
    if scenario_case.expectation is None:
        reason = f"nothing is expected on {scenario_case.kernel} with {scenario_case.vmm}"
        return Result(scenario_case, Verdict.SKIP, reason=reason)
    try:
        return _result(scenario_case, target)
    except Exception as error:  # one case that fails must not take the others with it
        if target.real or is_interruption(error):
            raise
        return _failed(scenario_case, error)


def _result(scenario_case: ScenarioCase, target: Target) -> Result:
    case, expectation = scenario_case.case, scenario_case.expectation
    assert expectation is not None
    if case.missing:
        return Result(scenario_case, Verdict.SKIP, reason=case.missing)
    found = target.run(case, scenario_case.kernel)
    if isinstance(found, Skipped):
        if found.so_far is None:
            return Result(scenario_case, Verdict.SKIP, reason=found.reason)
        found = found.so_far
    if isinstance(found, Lost):
        reason = f"the kernel was lost: {found.reason}"
        return Result(scenario_case, Verdict.ERROR, reason=reason, detail=found.console)
    of_its_own = target.real or target.kernel is not None
    if of_its_own and expectation.refused is None and lacks_capability(case, found):
        return Result(scenario_case, Verdict.SKIP, reason=f"{target.name} lacks {found.error}")
    result = judged(scenario_case, found)
    if result.mismatches and target.has_rules(scenario_case.kernel):
        from vcpu_scenario.running.causes import explained

        return explained(result, judged)
    return result


def judged(scenario_case: ScenarioCase, trace: Trace) -> Result:
    """The result of a case that expects something, of which ``trace`` is the run."""
    case = scenario_case.case
    expectation = scenario_case.expectation
    assert expectation is not None
    guest = guest_of(scenario_case)
    if trace.unmodelled is not None:
        return _cut_short(scenario_case, expectation, trace, guest)
    stops, found, mismatches = _compared(scenario_case, expectation, trace, guest)
    # To look for what is over takes as long as the comparison, and most runs are as expected.
    if mismatches and (shorter := without_overrun(expectation, trace, case.limits)) is not trace:
        trace = shorter
        stops, found, mismatches = _compared(scenario_case, expectation, trace, guest)
    verdict = Verdict.FAIL if mismatches else Verdict.PASS
    reason = ""
    if expectation.xfail is not None:
        known, mismatches = as_known(expectation, trace, mismatches)
        verdict = Verdict.XFAIL if known else Verdict.FAIL
        reason = str(expectation.xfail) if known else ""
    return Result(
        scenario_case,
        verdict,
        trace,
        stops,
        mismatches,
        found,
        reason,
        cut=_cut(expectation, trace, case.limits, verdict),
    )


def _cut(expectation: Expectation, trace: Trace, limits: Limits, verdict: Verdict) -> str:
    as_expected = verdict is Verdict.PASS and ended_as_expected(expectation, trace)
    return ending(trace, limits) if trace.ended.is_cut and not as_expected else ""


def _compared(
    scenario_case: ScenarioCase, expectation: Expectation, trace: Trace, guest: Guest
) -> tuple[tuple[Stop, ...], tuple[StopFinding, ...], tuple[Mismatch, ...]]:
    case = scenario_case.case
    stops = trace.stops
    found = findings(trace, stops, guest)
    return stops, found, judge(expectation, trace, stops, guest, case.limits, found)


def _cut_short(
    scenario_case: ScenarioCase, expectation: Expectation, trace: Trace, guest: Guest
) -> Result:
    """The result where the machine went no further: what came before is compared, and what would
    have come after is neither missing nor the failure that a clause knows of."""
    limit = trace.unmodelled
    assert limit is not None
    stops = trace.stops
    found = findings(trace, stops, guest)
    mismatches = tuple(judge_so_far(expectation, trace, stops, guest, found))
    where = reached(limit, len(trace.exits), guest)
    if not mismatches:
        return Result(
            scenario_case,
            Verdict.SKIP if limit.lacks else Verdict.NOT_MODELLED,
            trace,
            stops,
            (),
            found,
            str(limit),
            f"it came {where}",
        )
    known = expectation.xfail
    verdict = Verdict.FAIL if known is None else Verdict.XFAIL
    reason = "" if known is None else str(known)
    cut = f"the run ended {where}: {limit}"
    return Result(scenario_case, verdict, trace, stops, mismatches, found, reason, cut=cut)


def _failed(scenario_case: ScenarioCase, error: Exception) -> Result:
    import traceback

    what = f"{type(error).__name__}: {error}".splitlines()[0]
    detail = "".join(traceback.format_exception(error))
    return Result(scenario_case, Verdict.ERROR, reason=f"the runner failed: {what}", detail=detail)
