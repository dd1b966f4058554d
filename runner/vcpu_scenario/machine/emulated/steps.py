"""Which instructions were executed while the guest is stepped: no exit tells of them all."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from vcpu_scenario.arm64.esr import EC_HVC64, EC_SOFTSTP_LOW, STEP_COMPLETE
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.kvm.mmio import Completion
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.trace import Inside

_PC: Final = 32
_MDSCR_SS: Final = 1


class Steps:
    """The instructions of one ``KVM_RUN``."""

    def __init__(self, vcpu: Vcpu) -> None:
        self._vcpu: Final = vcpu
        self._cpu: Final = vcpu.cpu
        self.ran: list[int] | None = None
        """Their addresses in order, None where the guest was not stepped all the time."""

    def note(self, start: int, left: int, exception: int) -> None:
        """The guest was entered at ``start`` to be stepped and exited at ``left``, and KVM has
        handled that: it may have executed the instruction in the guest's place."""
        ran = self.ran
        if ran is None:
            return
        cpu, vcpu = self._cpu, self._vcpu
        if exception == EC_SOFTSTP_LOW:
            if left != start or cpu.hsr == STEP_COMPLETE:
                ran.append(start)
        elif not cpu.mdscr & _MDSCR_SS:
            self.ran = None
        elif exception == EC_HVC64:
            ran.append(start)
        elif (vcpu.increment_pc or cpu.regs[_PC] == left + 4) and not _went_out(vcpu):
            ran.append(left)


def _went_out(vcpu: Vcpu) -> bool:
    """Whether an access goes out to userspace, by which it is not yet complete."""
    return vcpu.mmio_needed and vcpu.run.exit_reason == abi.KVM_EXIT_MMIO


@lru_cache(maxsize=1024)
def inside_of(
    completed: Completion | None,
    entered: int | None,
    left: int | None,
    ran: tuple[int, ...] | None,
) -> Inside:
    """What is known of a run beyond its exit; ``ran`` is None where nobody counted."""
    # A guest comes by the same places again and again.
    access, jumped = completed or (None, None)
    if entered is None:
        left, ran = None, ()
    return Inside(completed is not None, access, jumped, entered, left, ran)
