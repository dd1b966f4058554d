"""Entries for traces that have none: those that were recorded, and those that a test makes up."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace
from vcpu_scenario.case import Case
from vcpu_scenario.ioctls.vcpu import SetGuestDebug
from vcpu_scenario.trace import Entry, Trace
from vcpu_scenario.vmm.debugger import Asked, reason_of


def entered(case: Case, trace: Trace) -> Trace:
    """``trace`` with an entry for each exit: what the case asked for, and the pc of the exit
    before, and the stops of a plain VMM."""
    return replace(trace, entries=tuple(_entries(case, trace)))


def _entries(case: Case, trace: Trace) -> Iterator[Entry]:
    asked, pc = Asked(), 0
    on = dict(case.on)
    did = (*([SetGuestDebug(case.debug)] if case.debug is not None else []), *case.before)
    for index, exit_ in enumerate(trace.exits):
        for action in did:
            asked = asked.after(action)
        yield Entry(index, tuple(did), pc, *asked, told=reason_of(exit_))
        did, pc = on.get(index, ()), exit_.pc
