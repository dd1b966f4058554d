"""What a case has that brings exits about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from vcpu_scenario.case import Action, Case, RunVcpu, SetRunField
from vcpu_scenario.ioctls.memory import SetMemoryRegion
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetGuestDebug, SetMpState
from vcpu_scenario.ioctls.vm import SetSmcccFilter
from vcpu_scenario.kvm import abi
from vcpu_scenario.vmm.vmms import VMMS

_FORWARD: Final = abi.KVM_SMCCC_FILTER_FWD_TO_USER


class Means(NamedTuple):
    """What a case has that brings exits about."""

    debugged: bool
    """Some KVM_SET_GUEST_DEBUG enables guest debug, the scenario's or the VMM's own."""
    psci_0_2: bool
    caps: tuple[str, ...]
    suspends: bool
    """Some action makes the vCPU KVM_MP_STATE_SUSPENDED."""
    forges: bool
    """Some action writes exit_reason, which an error leaves as it is."""
    ram: tuple[tuple[int, int], ...]
    """(first address, address behind) of memory that the guest reads and writes itself, as far as
    no action changes that."""
    forwards: bool
    """Some SMCCC filter hands calls to userspace."""
    consoles: tuple[tuple[str, int, int], ...]
    """(name, first address, address behind) of devices whose accesses are no exits of the run."""
    vcpus: frozenset[int]
    """Those of which there is a KVM_RUN."""


def means_of(case: Case) -> Means:
    """What ``case`` has that brings exits about."""
    # Of many actions few are of these kinds.
    actions = [action for action in case.all_actions() if isinstance(action, _BRINGING)]
    return Means(
        _is_debugged(case, actions),
        case.psci_0_2,
        case.caps,
        any(isinstance(a, SetMpState) and a.state == abi.KVM_MP_STATE_SUSPENDED for a in actions),
        any(isinstance(a, SetRunField) and a.field == "exit_reason" for a in actions),
        _lasting(case) if not any(isinstance(a, SetMemoryRegion) for a in actions) else (),
        any(isinstance(a, SetSmcccFilter) and a.action == _FORWARD for a in actions),
        tuple(_consoles(case, actions)),
        _run(case, actions),
    )


def _run(case: Case, actions: Iterable[Action]) -> frozenset[int]:
    """The vCPUs of which there is a KVM_RUN, by what is done before the first and after exits."""
    asked = frozenset(action.vcpu for action in actions if isinstance(action, RunVcpu))
    if case.quantum is not None:
        return asked.union(range(case.vcpus))
    if not asked:
        return frozenset([0])
    before = len(case.setup) + len(case.before)
    turns = [(n, a.vcpu) for n, a in enumerate(case.all_actions()) if isinstance(a, RunVcpu)]
    first = [0, *(vcpu for n, vcpu in turns if n < before)][-1]
    return frozenset([first, *(vcpu for n, vcpu in turns if n >= before)])


_BRINGING: Final = (
    SetGuestDebug,
    SetMpState,
    SetRunField,
    SetMemoryRegion,
    SetSmcccFilter,
    RunVcpu,
)
"""Actions that bring exits about."""


def _debugs(case: Case, actions: Iterable[Action]) -> list[GuestDebug]:
    debugs = [case.debug, *(a.debug for a in actions if isinstance(a, SetGuestDebug))]
    return [debug for debug in debugs if debug is not None]


def _is_debugged(case: Case, actions: Iterable[Action]) -> bool:
    return VMMS[case.vmm].always_asks or any(
        debug.control & abi.KVM_GUESTDBG_ENABLE for debug in _debugs(case, actions)
    )


def _consoles(case: Case, actions: Iterable[Action]) -> Iterator[tuple[str, int, int]]:
    """None where something single-steps, for then their accesses are exits of the run."""
    if not any(d.control & abi.KVM_GUESTDBG_SINGLESTEP for d in _debugs(case, actions)):
        for one in case.devices:
            if one.console:
                yield one.name, one.base, one.base + one.size


def told_exits(case: Case, vmms: Iterable[str]) -> frozenset[str]:
    """The exits that a debugger of some of ``vmms`` may be told of."""
    debugged = _is_debugged(case, case.all_actions())
    asking = (VMMS[name] for name in vmms if debugged or VMMS[name].always_asks)
    return frozenset(exit_ for vmm in asking for exit_ in vmm.tells_of)


def _lasting(case: Case) -> tuple[tuple[int, int], ...]:
    return tuple((slot.base, slot.base + slot.size) for slot in case.slots if not slot.readonly)
