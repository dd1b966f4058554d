"""The register file of the CPU: Unicorn's registers, read through its saved context.

After every exit the whole context is saved; reading a register is then a load from memory. A
write goes to Unicorn and to the saved copy alike. PC lives in the copy alone, since an entry
passes it; PSTATE is written late, since KVM changes PSTATE.SS several times a run.
"""

from __future__ import annotations

import ctypes
from ctypes import c_uint32, c_uint64
from typing import Final, TypeAlias

from runner.machine.emulated import uc
from runner.machine.emulated.layout import context_layout

Encoding: TypeAlias = tuple[int, int, int, int, int]
"""op0, op1, CRn, CRm, op2 of a system register."""

SS: Final = 1 << 21
PSR_A: Final = 1 << 8
EL1H: Final = 0x5
DAIF: Final = 0x3C0
_MODE: Final = 0xF
_SP, _PC = 31, 32

MDSCR_EL1: Final = (2, 0, 0, 2, 2)


class RegisterFile:
    """General registers, PC, PSTATE and the banked stack pointers of one CPU."""

    def __init__(self) -> None:
        layout = context_layout()
        self.engine: Final = uc.Engine()
        context = self.engine.context.value or 0
        # x0 to x30, then SP of the current bank, then PC.
        self.regs: Final = (c_uint64 * 33).from_address(context + layout.x0)
        self.state: Final = c_uint64.from_address(context + layout.state)
        """PSTATE without flags and masks; above it 1 for AArch64."""
        self.syndrome: Final = c_uint32.from_address(context + layout.syndrome)
        self.vaddress: Final = c_uint64.from_address(context + layout.vaddress)
        self.target_el: Final = c_uint32.from_address(context + layout.target_el)
        self.exclusive: Final = c_uint64.from_address(context + layout.exclusive)
        self._pstate: int | None = None
        self._pstate_written = False
        self._ss_written = False
        self._cell = c_uint64()
        self._cell_ref = ctypes.byref(self._cell)
        self._mdscr = 0

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
        if n == _SP:
            return
        value &= (1 << 64) - 1
        self.regs[n] = value
        number = uc.UC_ARM64_REG_X0 + n if n < 29 else uc.UC_ARM64_REG_X29 + n - 29
        self._cell.value = value
        uc.uc_reg_write(self.engine.handle, number, self._cell_ref)

    @property
    def current_el(self) -> int:
        return 1 if self.pstate & 0xC else 0

    @property
    def pstate(self) -> int:
        if self._pstate is None:
            uc.uc_reg_read(self.engine.handle, uc.UC_ARM64_REG_PSTATE, self._cell_ref)
            self._pstate = self._cell.value & 0xFFFF_FFFF  # Unicorn writes no more than that
        return self._pstate

    @pstate.setter
    def pstate(self, value: int) -> None:
        """Unicorn neither swaps the SP bank nor rebuilds its flags when PSTATE is written, so
        both are done here where the mode or the masks change."""
        old = self.pstate
        if (old ^ value) & (_MODE | DAIF):
            self._change_mode(old, value)
        else:
            self._write_pstate(value)

    def _write_pstate(self, value: int) -> None:
        self._pstate = value
        self._pstate_written = True
        if value & SS:
            self._ss_written = True

    def clear_ss(self) -> None:
        if not self._mdscr & 1 and not self._ss_written:
            return  # without software step the guest runs with PSTATE.SS clear
        pstate = self.pstate
        if pstate & SS:
            self._write_pstate(pstate & ~SS)

    def set_ss(self) -> None:
        pstate = self.pstate
        if not pstate & SS:
            self._write_pstate(pstate | SS)

    def flush_pstate(self) -> None:
        """Gives Unicorn what was written to PSTATE since it last ran."""
        if self._pstate_written:
            self._pstate_written = False
            self._cell.value = self._pstate or 0
            uc.uc_reg_write(self.engine.handle, uc.UC_ARM64_REG_PSTATE, self._cell_ref)

    def forget_pstate(self) -> None:
        """Unicorn ran, or a context was restored: what was known of PSTATE is void."""
        self._pstate = None
        self._pstate_written = False

    def _change_mode(self, old: int, value: int) -> None:
        before, after = _bank(old), _bank(value)
        if before != after:
            self.engine.write(before, self.regs[_SP])
            self.regs[_SP] = self.engine.read(after)
        self._write_pstate(value)
        self.flush_pstate()
        if before != after:
            self.engine.write(uc.UC_ARM64_REG_SP, self.regs[_SP])
        self.rebuild_flags()

    def rebuild_flags(self) -> None:
        """Any system register written through the host makes Unicorn derive its flags anew."""
        self.engine.write_sys(MDSCR_EL1, self._mdscr)

    def sp_el(self, el: int) -> int:
        """SP_EL0 or SP_EL1."""
        number = uc.UC_ARM64_REG_SP_EL1 if el else uc.UC_ARM64_REG_SP_EL0
        return self.regs[_SP] if _bank(self.pstate) == number else self.engine.read(number)

    def set_sp_el(self, el: int, value: int) -> None:
        number = uc.UC_ARM64_REG_SP_EL1 if el else uc.UC_ARM64_REG_SP_EL0
        self.engine.write(number, value)
        if _bank(self.pstate) == number:
            self.regs[_SP] = value
            self.engine.write(uc.UC_ARM64_REG_SP, value)


def _bank(pstate: int) -> int:
    return uc.UC_ARM64_REG_SP_EL1 if pstate & 0xC and pstate & 1 else uc.UC_ARM64_REG_SP_EL0
