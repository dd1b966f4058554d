"""What a run does after the last exit expected, which nobody asked for.

A run ends after as many exits as its clause expects. Where some of them do not come, the guest
goes on behind the end of its code for as many more, or until it is interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from vcpu_scenario.arm64.esr import EC_BRK64, class_of
from vcpu_scenario.case import Case, Limits
from vcpu_scenario.expectation import Expectation, ExpectedExit
from vcpu_scenario.trace import Ending, Trace, observed
from vcpu_scenario.verdict import match
from vcpu_scenario.verdict.align import GAP, align, prefix_costs
from vcpu_scenario.verdict.guest import Guest


def up_to_its_last_brk(case: Case, trace: Trace) -> Trace:
    """The trace without what a guest does that runs on behind the BRK at the end of its code, as
    if that exit had been the last one allowed."""
    if not trace.ended.is_cut:
        return trace
    guest = Guest(case, {})
    last = len(trace.exits)
    while last and guest.word(trace.exits[last - 1].pc) is None:
        last -= 1
    hsr = trace.exits[last - 1].fields.get("hsr", 0) if last else 0
    if last == len(trace.exits) or class_of(hsr) != EC_BRK64:
        return trace
    return replace(trace, exits=trace.exits[:last], ended=Ending.EXIT_LIMIT)


def without_overrun(expectation: Expectation, trace: Trace, limits: Limits) -> Trace:
    """The trace up to the last exit expected, if that one came and others did not.

    A limit of the scenario's own says that the run need not end with its expectation: then all
    is left as it is, and so is an exit that was expected earlier and came after the last.
    """
    pattern = expectation.exits
    if not pattern or trace.ended not in (Ending.EXIT_LIMIT, Ending.INTERRUPTED):
        return trace
    if sum(item.least if item.most == item.least else limits.exits + 1 for item in pattern) != (
        limits.exits
    ):
        return trace
    over = _overrun(pattern, trace)
    return replace(trace, exits=trace.exits[:-over], ended=Ending.LAST_EXPECTED) if over else trace


def _overrun(pattern: Sequence[ExpectedExit], trace: Trace) -> int:
    """How many exits at the end are left over: without each of them there is one extra exit
    less, and nothing else changes."""
    exits = trace.exits
    states = observed(exits)

    def cost(expected: int, actual: int) -> int:
        return match.cost(pattern[expected], exits[actual], states[actual])

    found = 0
    totals = prefix_costs(pattern, len(exits), cost)
    if totals is None:
        return 0
    pairs = align(pattern, len(exits), cost).pairs
    missing = [pair.expected for pair in pairs if pair.actual is None]
    for over in range(1, len(exits)):
        last = len(exits) - over
        if any(cost(one, last) == 0 for one in missing if one is not None):
            break
        if totals[last] != totals[-1] - GAP * over:
            break
        if not cost(len(pattern) - 1, last - 1):
            found = over
    return found
