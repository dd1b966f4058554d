"""The debugger that is attached to a VMM: what it asks for, and why it is told of a stop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from vcpu_scenario.arm64 import esr
from vcpu_scenario.case import Action, WriteMemory
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetGuestDebug
from vcpu_scenario.kvm.abi import KVM_GUESTDBG_SINGLESTEP
from vcpu_scenario.trace import Exit, StopReason

BRK: Final = (0xD420_0000).to_bytes(4, "little")
"""``BRK #0``: what QEMU writes for a software breakpoint (``kvm_arch_insert_sw_breakpoint``)."""

_REASONS: Final[Mapping[int, StopReason]] = {
    esr.EC_BREAKPT_LOW: StopReason.HARDWARE_BREAKPOINT,
    esr.EC_SOFTSTP_LOW: StopReason.STEP,
    esr.EC_WATCHPT_LOW: StopReason.WATCHPOINT,
    esr.EC_BKPT32: StopReason.BRK,
    esr.EC_BRK64: StopReason.BRK,
}
"""By exception class of hsr."""


def reason_of(exit_: Exit) -> StopReason | None:
    """Why a debugger would be told of the exit, by its syndrome; None but for KVM_EXIT_DEBUG."""
    if exit_.ret or exit_.exit != "DEBUG":
        return None
    return _REASONS.get(esr.class_of(exit_.fields["hsr"]))


def stepping(debug: GuestDebug) -> bool:
    """Whether ``KVM_GUESTDBG_SINGLESTEP`` is set."""
    return bool(debug.control & KVM_GUESTDBG_SINGLESTEP)


class Asked(NamedTuple):
    """What the debugger asks for: guest debug, and the addresses (IPAs) of its software
    breakpoints.

    A software breakpoint is a ``BRK #0`` that the VMM writes. One that is loaded with the guest is
    the guest's own, and so is a BRK with another immediate.
    """

    debug: GuestDebug = GuestDebug()
    breakpoints: frozenset[int] = frozenset()

    def after(self, action: Action) -> Asked:
        """What is asked for once the VMM has done ``action``."""
        if isinstance(action, SetGuestDebug):
            return self._replace(debug=action.debug)
        if isinstance(action, WriteMemory):
            written = dict(words_of(action))
            brks = {addr for addr, word in written.items() if word == BRK}
            return self._replace(breakpoints=self.breakpoints.difference(written) | brks)
        return self


def words_of(action: WriteMemory) -> Iterator[tuple[int, bytes]]:
    """The instructions that are written whole, each with its address."""
    data = action.data
    for offset in range(-action.addr % 4, len(data) - 3, 4):
        yield action.addr + offset, data[offset : offset + 4]
