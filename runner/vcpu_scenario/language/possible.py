"""What can come about: exits that nothing can bring about, and what stands behind a run's end.

It speaks of KVM, not of a machine of ours: what a real kernel could do and the emulated machine
does not is no fault of a scenario. Of exits that must *never* come it is asked whether the run
would show them, and no more: to hold a kernel to that they do not come is what they are for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Final

from vcpu_scenario.case import FOR_THE_NEXT_RUN, Case, Limits
from vcpu_scenario.expectation import Check, Expectation, ExpectedExit
from vcpu_scenario.kvm import abi
from vcpu_scenario.language.exits import ReadExit
from vcpu_scenario.language.means import Means
from vcpu_scenario.language.problems import Problems

NEVER: Final[Mapping[str, str]] = {
    "SHUTDOWN": "KVM/arm64 has no KVM_EXIT_SHUTDOWN: PSCI SYSTEM_OFF is a system_event",
    "FAIL_ENTRY": "it takes a host that cannot enter the vCPU, which a scenario cannot ask for",
    "INTERNAL_ERROR": "it takes a host whose KVM fails, which a scenario cannot ask for",
    "MEMORY_FAULT": "it takes memory of guest_memfd, which a scenario cannot have",
    "ARM_SEA": "it takes a memory error of the host, which a scenario cannot ask for",
}
"""Exits that no key of the language leads to, and why."""


def check_possible(
    exits: Sequence[ReadExit], expectation: Expectation, means: Means, problems: Problems
) -> None:
    """Reports each exit and stop expected that nothing can bring about, with why."""
    if expectation.stops and not means.debugged:
        problems.add(
            "nothing can bring this stop about",
            expectation.stops[0].span,
            help="no `debug:` asks KVM for guest debug, so no stop is reported to a debugger",
        )
    for item in exits:
        if why := why_not(item.expected, means):
            at = _named(item.expected, "exit") or item.expected
            problems.add("nothing can bring this exit about", at.span, help=why)
    for banned in expectation.never:
        if why := _unseen(banned, means):
            problems.add("nothing ever shows whether this exit comes", banned.span, help=why)


def _unseen(expected: ExpectedExit, means: Means) -> str:
    """Why the run does not show such an exit, whether it comes or not; empty where it does."""
    if why := _not_run(expected, means):
        return why
    addr = _named(expected, "addr")
    if addr is None or not isinstance(addr.value, int):
        return ""
    for name, first, behind in means.consoles:
        if first <= addr.value < behind:
            return f"accesses to {name} are no exits of the run, as it has `console: true`"
    return ""


def _named(expected: ExpectedExit, field: str) -> Check | None:
    return next((check for check in expected.checks if check.field == field), None)


def why_not(expected: ExpectedExit, means: Means) -> str:
    """Why nothing can bring the exit about; empty where something may."""
    if why := _not_run(expected, means):
        return why
    named = _named(expected, "exit")
    if named is None:
        return ""
    exit_ = str(named.value)
    stale = expected.kind in ("interrupted", "error", "any")
    if stale and means.forges:
        return ""
    if exit_ in NEVER:
        return NEVER[exit_]
    ask = _ASK.get(exit_)
    return ask(expected, means) if ask is not None else ""


def _not_run(expected: ExpectedExit, means: Means) -> str:
    vcpu = _named(expected, "vcpu")
    if vcpu is None or vcpu.value in means.vcpus:
        return ""
    runs = ", ".join(map(str, sorted(means.vcpus)))
    return f"no KVM_RUN is of vCPU {vcpu.value!s}, only of {runs}: `vcpu` says whose exit it is"


def _debug(expected: ExpectedExit, means: Means) -> str:
    return "" if means.debugged else "no `debug:` asks KVM for guest debug"


def _nisv(expected: ExpectedExit, means: Means) -> str:
    if "arm_nisv_to_user" in means.caps:
        return ""
    return "without `capabilities: [arm_nisv_to_user]` KVM_RUN fails with ENOSYS instead"


def _mmio(expected: ExpectedExit, means: Means) -> str:
    addr = _named(expected, "addr")
    if addr is None or not isinstance(addr.value, int):
        return ""
    if any(first <= addr.value < behind for first, behind in means.ram):
        return f"{addr.value:#x} is RAM, which the guest accesses without an exit"
    return ""


def _hypercall(expected: ExpectedExit, means: Means) -> str:
    if means.forwards:
        return ""
    return "no `smccc_filter` has a call with `action: fwd_to_user`"


def _system_event(expected: ExpectedExit, means: Means) -> str:
    kind = _named(expected, "type")
    if kind is None:
        calls = means.psci_0_2 or means.suspends
        return "" if calls else "without `features: [psci_0_2]` there is no PSCI call for it"
    ask = _EVENTS.get(kind.value) if isinstance(kind.value, int) else None
    return f"KVM/arm64 has no system event of type {kind.written}" if ask is None else ask(means)


def _by_psci(means: Means) -> str:
    return "" if means.psci_0_2 else "without `features: [psci_0_2]` there is no PSCI call for it"


def _wakeup(means: Means) -> str:
    return "" if means.suspends else "only a vCPU with `mp_state: suspended` wakes up"


def _suspend(means: Means) -> str:
    if "arm_system_suspend" not in means.caps:
        return "without `capabilities: [arm_system_suspend]` KVM refuses PSCI SYSTEM_SUSPEND"
    return _by_psci(means)


_EVENTS: Final[Mapping[int, Callable[[Means], str]]] = {
    abi.KVM_SYSTEM_EVENT_SHUTDOWN: _by_psci,
    abi.KVM_SYSTEM_EVENT_RESET: _by_psci,
    abi.KVM_SYSTEM_EVENT_WAKEUP: _wakeup,
    abi.KVM_SYSTEM_EVENT_SUSPEND: _suspend,
}

_ASK: Final[Mapping[str, Callable[[ExpectedExit, Means], str]]] = {
    "DEBUG": _debug,
    "ARM_NISV": _nisv,
    "MMIO": _mmio,
    "HYPERCALL": _hypercall,
    "SYSTEM_EVENT": _system_event,
}


def check_order(exits: Sequence[ReadExit], case: Case, problems: Problems) -> None:
    """Reports what comes after the end of the run: exits, and actions at the last one."""
    on, limits = dict(case.on), case.limits
    acts_at_any = bool(case.reactions)
    index = 0
    for item, after in zip_longest(exits, exits[1:]):
        expected = item.expected
        ends = _ends(expected, acts_at_any or index in on, limits)
        last = index >= limits.exits - 1
        if item.acting is not None and (ends or (last and not limits.act_at_last)):
            why = f"{_WHAT[ends]} ends the run" if ends else "the run ends with this exit"
            of_case = f"the run of {problems.case}" if problems.case else ""
            help = f"{why}: leave it out"
            problems.add("this is never done", item.acting, found=of_case, help=help)
        elif last:
            _check_last(item, problems)
        if ends and expected.least:
            if after is not None or expected.least > 1:
                behind = expected if after is None else after.expected
                problems.add(
                    f"nothing comes after {_WHAT[ends]}, which ends the run",
                    behind.span,
                    help="say what the VMM does to go on: `then: [run_again: true]`",
                )
            return
        if expected.most != expected.least:
            return
        index += expected.least


def _check_last(item: ReadExit, problems: Problems) -> None:
    """Reports what is done after the last exit for a KVM_RUN that does not come."""
    for action, span in zip(item.actions, item.each, strict=True):
        if isinstance(action, FOR_THE_NEXT_RUN):
            problems.add("this is never done", span, help=NO_RUN_FOLLOWS)


NO_RUN_FOLLOWS: Final = "no KVM_RUN follows the last exit: leave it out"

_WHAT: Final = {
    "error": "an error without an action",
    "system_event": "a system event without an action",
    "interrupted": "an interrupted run without an action",
}


def _ends(expected: ExpectedExit, acts: bool, limits: Limits) -> str:
    """How the exit ends the run; empty where it does not."""
    if expected.kind == "interrupted":
        return "interrupted" if limits.stop_on_intr and not acts else ""
    if acts and not limits.stop_on_event:
        return ""
    return expected.kind if expected.kind in _WHAT else ""
