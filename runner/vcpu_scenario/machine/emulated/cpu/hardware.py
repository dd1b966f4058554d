"""The hardware's state and controls: what everything that acts on the CPU works on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vcpu_scenario.arm64 import esr, sysregs
from vcpu_scenario.arm64.cpumodels import CpuModel
from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.machine.emulated.cpu import uc
from vcpu_scenario.machine.emulated.cpu.controls import MDCR_TDE, Controls
from vcpu_scenario.machine.emulated.cpu.gicport import GicvPort
from vcpu_scenario.machine.emulated.cpu.perfcounters import PerfCounters
from vcpu_scenario.machine.emulated.cpu.regfile import DAIF, EL1H, PAN, PSR_A, PSR_D, SS
from vcpu_scenario.machine.emulated.cpu.stage2 import Stage2
from vcpu_scenario.machine.emulated.cpu.timers import Timers

SERROR_OFFSET: Final = 0x180
KDE: Final = 1 << 13
"""MDSCR_EL1: debug exceptions are on at EL1 too."""

_EL1PCTEN: Final = 1
"""The guest may read the physical counter, and its timer traps."""
_SCTLR_EE: Final = 1 << 25
_SCTLR_SPAN: Final = 1 << 23
"""PSTATE.PAN stays as it is when an exception is taken."""
_SCTLR_E0E: Final = 1 << 24

EXIT_IRQ: Final = -3
"""``ARM_EXCEPTION_IRQ``: a host interrupt, of which the vCPU itself sees nothing."""


class Hardware(Controls):
    """One CPU but for its execution: registers, EL2 controls, memory, exceptions to EL1."""

    def __init__(self, model: CpuModel) -> None:
        super().__init__(model)
        self.stage2: Final = Stage2(self.engine, self._drop_code)
        self.gicv: GicvPort | None
        """A GICv2 whose CPU interface the guest reaches without a trap."""
        self.vserror: int | None
        """The ISS of a virtual SError that is pending."""
        self.id_registers: Mapping[Encoding, int]
        self.untrap_dc_zva: bool
        """The instruction at pc is a DC ZVA that stage 1 does not map: Unicorn is to run it."""
        self.status: int
        """How Unicorn's last run ended that did not with an exception: one of ``UC_ERR_*``."""
        self.hsr: int
        self.far: int
        self.ipa: int
        self.timers: Timers
        """The physical one is KVM's, which the guest reaches through traps."""
        self.perf: PerfCounters
        self._failed_store: int | None
        self.passed_hooks = False
        """The guest has passed hooks that are to go before it continues."""
        self.failed_pc = 0
        """The store's instruction."""
        self._hook = uc.MEM_INVALID_HOOK(self._note_failed_store)
        self.engine.add_hook(uc.UC_HOOK_MEM_WRITE_UNMAPPED | uc.UC_HOOK_MEM_WRITE_PROT, self._hook)
        self.engine.write_sys(sysregs.SCR_EL3, 0x531)
        self.engine.write_sys(sysregs.CNTHCTL_EL2, _EL1PCTEN)
        self.clear_state()

    def clear_state(self) -> None:
        """Forgets all that is kept beside Unicorn."""
        self.clear_controls()
        self.gicv = None
        self.attended = self.model.armv8_2
        """More is to be looked at around a run of Unicorn than what every guest needs: a timer, a
        counter, an SError or a control may matter, now or later."""
        self.vserror = None
        self.serror_is_seen = True
        """The guest sees the SError that pends."""
        self.id_registers = {}
        self.untrap_dc_zva = False
        self.may_be_illegal, self.unprepared = False, True
        self._failed_store = None
        self.timers = Timers()
        self.perf = PerfCounters()
        self.status = self.hsr = self.far = self.ipa = 0

    def read_sys(self, encoding: Encoding) -> int:
        return self.engine.read_sys(encoding)

    def write_sys(self, encoding: Encoding, value: int) -> None:
        self.engine.write_sys(encoding, value)
        self.engine.flush_tlb()

    @property
    def mmu_on(self) -> bool:
        return bool(self.sctlr_el1.value & 1)

    @property
    def is_big_endian(self) -> bool:
        """Whether data is, where the guest is."""
        return bool(self.sctlr_el1.value & (_SCTLR_EE if self.current_el else _SCTLR_E0E))

    def withdraw_interrupts(self) -> None:
        """Lowers userspace's own lines, and takes back an SError that is pending."""
        self.vserror = None
        self.lower_lines()

    # -- exceptions to EL1 -------------------------------------------------------------------

    def take_to_el1(self, syndrome: int, far: int | None = None, offset: int = 0) -> None:
        """AArch64.TakeException to EL1: ``offset`` is 0 for synchronous, 0x180 for SError."""
        old = self.pstate
        self.change_pstate(old, DAIF | EL1H | self._pan_taken(old))
        self.elr_el1.value = self.regs[32]
        self.spsr_el1.value = old
        self.esr_el1.value = syndrome
        if far is not None:
            self.far_el1.value = far
        self.regs[32] = self.vbar_el1.value + _vector_offset(old) + offset

    def _pan_taken(self, old: int) -> int:
        """PSTATE.PAN behind an exception."""
        if not self.model.armv8_2:
            return 0
        return old & PAN if self.sctlr_el1.value & _SCTLR_SPAN else PAN

    @property
    def serror_pends(self) -> bool:
        return self.vserror is not None and self.serror_is_seen

    def take_pending_serror(self) -> None:
        """Takes a virtual SError, if one is pending and unmasked, after an interrupt that is."""
        # A line of HCR_EL2 has the place of its mask in PSTATE.
        masked = self.pstate & PSR_A or self.interrupt_lines & ~self.pstate
        if self.serror_pends and self.vserror is not None and not masked:
            iss, self.vserror = self.vserror, None
            syndrome = esr.EC_SERROR << esr.EC_SHIFT | esr.IL | iss
            self.take_to_el1(syndrome, offset=SERROR_OFFSET)

    def finish_natively(self) -> int | None:
        """The instruction at pc is done: moves on, with the step exception if one is due."""
        self.regs[32] += 4
        if not self.state.value & SS or not self.mdscr & 1:
            return None
        self.clear_ss()
        return self.step_exception(esr.STEP_COMPLETE)

    def step_exception(self, syndrome: int) -> int | None:
        """A software step exception: KVM's where MDCR_EL2.TDE says so, else the guest's own."""
        if self._mdcr & MDCR_TDE:
            self.hsr = syndrome
            return esr.EC_SOFTSTP_LOW
        if self.takes_debug_exceptions:
            self.take_to_el1(syndrome + (self.current_el << esr.EC_SHIFT))
        return None

    @property
    def takes_debug_exceptions(self) -> bool:
        """Whether debug exceptions are on for the guest where it is (Arm ARM D2.4)."""
        return not self.current_el or (self.mdscr & KDE != 0 and not self.pstate & PSR_D)

    @property
    def step_due(self) -> bool:
        """Whether software step is in its active-pending state: the next thing is its exception."""
        if not self.mdscr & 1 or self.state.value & SS:
            return False
        return bool(self._mdcr & MDCR_TDE) or self.takes_debug_exceptions

    def step_is_pending(self, exception: int) -> bool:
        """Whether ``exception`` is a step that was pending: nothing was executed."""
        return exception == esr.EC_SOFTSTP_LOW and self.hsr == esr.STEP_PENDING

    # -- memory ------------------------------------------------------------------------------

    def _note_failed_store(
        self, _uc: int, _kind: int, address: int, _size: int, _value: int, _data: int
    ) -> bool:
        if self._failed_store is None:
            self._failed_store, self.failed_pc = address, self.regs[32]
        return False

    def failed_at(self, *, is_write: bool) -> int:
        """The IPA of the load or store that Unicorn could not make.

        A load ends there. A store that crosses into another page continues byte by byte, and only a
        hook tells where it failed first.
        """
        if not is_write:
            return self.fault_ipa.value
        failed, self._failed_store = self._failed_store, None
        if failed is None:
            raise uc.UnicornError("a store failed without an address")
        return failed

    def translate(self, va: int) -> int | None:
        """The IPA of ``va`` by the guest's stage 1; None where it does not map it."""
        return self.engine.translate(va) if self.mmu_on else va

    def translate_write(self, va: int) -> int | None:
        """The same for what is to be written."""
        return self.engine.translate(va, uc.UC_PROT_WRITE) if self.mmu_on else va

    def translate_fetch(self, va: int) -> int | None:
        """The same for an instruction; it need not be readable to EL0, whose page it may be."""
        if not self.mmu_on:
            return va
        found = self.engine.translate(va, uc.UC_PROT_EXEC)
        return self.engine.translate(va) if found is None else found

    def _drop_code(self, start: int, end: int) -> None:
        """Drops what was translated from these IPAs. Unicorn would take them for virtual ones."""
        sctlr = self.sctlr_el1.value
        if sctlr & 1:
            self.engine.write_sys(sysregs.SCTLR_EL1, sctlr & ~1)
        self.engine.drop_translations(start, end)
        if sctlr & 1:
            self.engine.write_sys(sysregs.SCTLR_EL1, sctlr)

    def word_at_pc(self) -> int:
        """The instruction at pc; 0 where it cannot be read."""
        ipa = self.translate_fetch(self.regs[32])
        return 0 if ipa is None else self.stage2.word(ipa)


def _vector_offset(pstate: int) -> int:
    if not pstate & 0xC:
        return 0x400
    return 0x200 if pstate & 1 else 0x000
