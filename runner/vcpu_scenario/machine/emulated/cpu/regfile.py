"""The register file of the CPU: Unicorn's own, in the memory where it keeps it.

What :mod:`.layout` finds is read and written there; a call is made only where a write has more
to it. PC is passed to an entry from there too.
"""

from __future__ import annotations

import ctypes
from ctypes import c_uint32, c_uint64
from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.cpumodels import CORTEX_A57, CpuModel
from vcpu_scenario.machine.emulated.cpu import layout, uc
from vcpu_scenario.machine.emulated.cpu.engine import Engine

IL: Final = 1 << 20
SS: Final = 1 << 21
PAN: Final = 1 << 22
UAO: Final = 1 << 23
PSR_A: Final = 1 << 8
PSR_D: Final = 1 << 9
EL0T: Final = 0x0
EL1T: Final = 0x4
EL1H: Final = 0x5
DAIF: Final = 0x3C0
_MODE: Final = 0xF
_SP, _PC = 31, 32

_ENGINES: Final = {
    "cortex-a57": uc.UC_CPU_ARM64_A57,
    "cortex-a72": uc.UC_CPU_ARM64_A72,
    "cortex-a76": uc.UC_CPU_ARM64_MAX,
}


class RegisterFile:
    """General registers, PC, PSTATE and the banked stack pointers of one CPU."""

    def __init__(self, model: CpuModel = CORTEX_A57) -> None:
        at = layout.cpu_layout()
        self.model: Final = model
        self.engine: Final = Engine(_ENGINES[model.name])
        self.memory_features: Final = at.claim(self.engine, model)
        """ID_AA64MMFR0_EL1, as Unicorn's decoder has it: its lowest bits are the width of physical
        addresses."""
        base = at.state_address(self.engine)
        # x0 to x30, then SP of the current bank, then PC.
        self.regs: Final = (c_uint64 * 33).from_address(base + at.x0)
        self.pc_cell: Final = c_uint64.from_address(base + at.x0 + 8 * _PC)
        self.state: Final = c_uint64.from_address(base + at.state)
        """PSTATE without flags and masks; above it 1 for AArch64."""
        self.unprepared = False
        """Something may have to be done before the guest runs; :meth:`Cpu.enter` knows what."""
        self.may_be_illegal = False
        """Whether the execution state may be illegal (PSTATE.IL), or get so by an ERET: somebody
        has written PSTATE or SPSR_EL1 otherwise than an exception does."""
        self.syndrome: Final = c_uint32.from_address(base + at.syndrome)
        self.vaddress: Final = c_uint64.from_address(base + at.vaddress)
        self.target_el: Final = c_uint32.from_address(base + at.target_el)
        self.exclusive: Final = c_uint64.from_address(base + at.exclusive)
        self.fault_ipa: Final = c_uint64.from_address(at.fault_address(self.engine))
        """Where the access lay that Unicorn could not make; of a store, where it failed last."""
        self.executed: Final = c_uint64.from_address(at.executed_address(self.engine))
        """How many instructions the last run began."""
        system = {encoding: base + offset for encoding, offset in at.system.items()}
        self.elr_el1: Final = c_uint64.from_address(system[sysregs.ELR_EL1])
        self.spsr_el1: Final = c_uint64.from_address(system[sysregs.SPSR_EL1])
        self.esr_el1: Final = c_uint64.from_address(system[sysregs.ESR_EL1])
        self.far_el1: Final = c_uint64.from_address(system[sysregs.FAR_EL1])
        self.vbar_el1: Final = c_uint64.from_address(system[sysregs.VBAR_EL1])
        self.sctlr_el1: Final = c_uint64.from_address(system[sysregs.SCTLR_EL1])
        self._cell = c_uint64()
        self._cell_ref = ctypes.byref(self._cell)
        self.mdscr = 0
        """MDSCR_EL1, as :meth:`Hardware.set_mdscr` has set it."""

    @property
    def pc(self) -> int:
        return self.regs[_PC]

    @pc.setter
    def pc(self, value: int) -> None:
        self.regs[_PC] = value

    def x(self, n: int) -> int:
        """Register ``n``; 31 reads as SP of the current bank."""
        return self.regs[n]

    def x_or_zero(self, n: int) -> int:
        """Register ``n``; 31 reads as XZR."""
        return 0 if n == _SP else self.regs[n]

    def set_x(self, n: int, value: int) -> None:
        """Writes x0 to x30; 31 is XZR and takes nothing."""
        if n != _SP:
            self.regs[n] = value

    @property
    def current_el(self) -> int:
        return 1 if self.state.value & 0xC else 0

    @property
    def pstate(self) -> int:
        uc.uc_reg_read(self.engine.handle, uc.UC_ARM64_REG_PSTATE, self._cell_ref)
        return self._cell.value & 0xFFFF_FFFF  # Unicorn writes no more than that

    @pstate.setter
    def pstate(self, value: int) -> None:
        self.change_pstate(self.pstate, value)

    def change_pstate(self, old: int, value: int) -> None:
        """Unicorn neither swaps the SP bank nor rebuilds its flags when PSTATE is written, so
        both are done here where the mode or the masks change."""
        if (old ^ value) & _MODE and (before := _bank(old)) != (after := _bank(value)):
            self.engine.write(before, self.regs[_SP])
            self.regs[_SP] = self.engine.read(after)
        self._cell.value = value
        if value & IL:
            self.may_be_illegal = self.unprepared = True
        uc.uc_reg_write(self.engine.handle, uc.UC_ARM64_REG_PSTATE, self._cell_ref)
        if (old ^ value) & (_MODE | DAIF | PAN):
            self.rebuild_flags()

    def clear_ss(self) -> None:
        state = self.state.value
        if state & SS:
            self.state.value = state ^ SS

    def rebuild_flags(self) -> None:
        """Any system register written through the host makes Unicorn derive its flags again."""
        self.engine.write_sys(sysregs.MDSCR_EL1, self.mdscr)

    def sp_el(self, el: int) -> int:
        """SP_EL0 or SP_EL1."""
        number = uc.UC_ARM64_REG_SP_EL1 if el else uc.UC_ARM64_REG_SP_EL0
        return self.regs[_SP] if _bank(self.pstate) == number else self.engine.read(number)

    def set_sp_el(self, el: int, value: int) -> None:
        number = uc.UC_ARM64_REG_SP_EL1 if el else uc.UC_ARM64_REG_SP_EL0
        self.engine.write(number, value)
        if _bank(self.pstate) == number:
            self.regs[_SP] = value


def _bank(pstate: int) -> int:
    return uc.UC_ARM64_REG_SP_EL1 if pstate & 0xC and pstate & 1 else uc.UC_ARM64_REG_SP_EL0
