"""EL2's controls of the guest: HCR_EL2 with the virtual interrupt lines, MDCR_EL2, MDSCR_EL1."""

from __future__ import annotations

from typing import Final, Protocol

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.machine.emulated.cpu.gicport import GicPort
from vcpu_scenario.machine.emulated.cpu.regfile import RegisterFile

HCR_TVM: Final = 1 << 26
HCR_TID1: Final = 1 << 16
HCR_TID2: Final = 1 << 17
HCR_TDZ: Final = 1 << 28
_HCR_GUEST: Final = (
    1 << 31  # RW
    | 1 << 22  # TSW
    | 1 << 21  # TACR
    | 1 << 19  # TSC
    | 1 << 18  # TID3
    | 1 << 13  # TWI
    | 1 << 4  # IMO
    | 1 << 3  # FMO
)
_HCR_VI: Final = 1 << 7
_HCR_VF: Final = 1 << 6
HCR_LINES: Final = _HCR_VI | _HCR_VF
"""The virtual interrupt lines."""
MDCR_TDE: Final = 1 << 8
"""Debug exceptions of the guest go to EL2."""


class Watchpoints(Protocol):
    """Watchpoints for accesses that Unicorn does not make itself."""

    @property
    def breaks(self) -> bool:
        """A breakpoint hits the next instruction."""

    watches: bool
    """Some watchpoint is enabled."""

    def hit_at(self, va: int, length: int, *, is_write: bool) -> int | None:
        """Where an access of ``length`` bytes hits, None where it does not."""

    def report_hit(self, far: int, *, is_write: bool) -> int | None: ...


class Controls(RegisterFile):
    """Registers, and what of them traps or interrupts the guest."""

    watchpoints: Watchpoints
    gic: GicPort | None

    def clear_controls(self) -> None:
        """None is set, as at power-on."""
        self.gic = None
        self._raised = 0
        self.raised_is_seen = True
        """The guest sees the lines that userspace raises."""
        self._mdcr = self.mdscr = self._hcr = 0
        self.traps_dc_zva = False

    def set_hcr(self, extra: int) -> None:
        """HCR_EL2 beyond what every guest runs with: ``HCR_TVM``, ``HCR_TID2``, the lines of
        the virtual interrupts."""
        value = _HCR_GUEST | self.traps_dc_zva * HCR_TDZ | extra
        if value != self._hcr:
            self._hcr = value
            self.engine.write_sys(sysregs.HCR_EL2, value)

    @property
    def hcr(self) -> int:
        return self._hcr & ~(_HCR_GUEST | HCR_TDZ)

    def trap_dc_zva(self) -> None:
        """Catches DC ZVA before Unicorn runs it, which does not undo its effect for a watchpoint,
        nor its step where it fails."""
        trapped = bool(self.mdscr & 1) or self.watchpoints.watches
        if trapped is not self.traps_dc_zva:
            self.traps_dc_zva = trapped
            self.set_hcr(self.hcr)

    @property
    def hcr_value(self) -> int:
        """All of HCR_EL2."""
        return self._hcr

    def reassert_hcr(self) -> None:
        """A restored context does not bring the pending interrupt line back."""
        self.engine.write_sys(sysregs.HCR_EL2, self._hcr)

    @property
    def mdcr(self) -> int:
        return self._mdcr

    def set_mdcr(self, value: int) -> None:
        if value != self._mdcr:
            self._mdcr = value
            self.engine.write_sys(sysregs.MDCR_EL2, value)

    def set_mdscr(self, value: int) -> None:
        if value != self.mdscr:
            self.mdscr = value
            self.engine.write_sys(sysregs.MDSCR_EL1, value)
            self.trap_dc_zva()

    @property
    def interrupt_lines(self) -> int:
        """The virtual interrupt lines that are asserted, as bits of HCR_EL2."""
        return self._hcr & HCR_LINES

    def sync_interrupt_lines(self) -> None:
        gic = self.gic
        if gic is None:
            return
        lines = (_HCR_VI if gic.virq() else 0) | (_HCR_VF if gic.vfiq() else 0)
        if self.raised_is_seen:
            lines |= self._raised
        if lines != self.interrupt_lines:
            self.set_hcr(self.hcr & ~HCR_LINES | lines)

    @property
    def is_raised(self) -> bool:
        """Userspace raises a line, or a GIC does."""
        return bool(self.interrupt_lines | self._raised)

    def raise_line(self, line: int, level: int) -> None:
        """Userspace's own interrupt lines, where it has the interrupt controller."""
        bit = (_HCR_VI, _HCR_VF)[line]
        self._raised = self._raised | bit if level else self._raised & ~bit
        self.sync_interrupt_lines()

    def lower_lines(self) -> None:
        """Lowers all that userspace raises."""
        self._raised = 0
        self.sync_interrupt_lines()
