"""Code that Unicorn has just translated, before it runs any of it.

PC alignment faults are found there: a branch to an address that is no multiple of 4. Unicorn would
execute the words; it is stopped, and its translations are dropped, to be told again. All other code
is shown to who looks for instructions in it.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import c_uint16, c_uint64
from typing import Final

from vcpu_scenario.arm64 import esr
from vcpu_scenario.machine.emulated.cpu import uc
from vcpu_scenario.machine.emulated.cpu.hardware import Hardware

_SIZE: Final = 10
"""Where ``uc_tb`` has the size, behind the pc and the count of instructions."""
_SYNDROME: Final = esr.EC_PC_ALIGNMENT << esr.EC_SHIFT | esr.IL


class Alignment:
    """The check of one CPU's pc; ``inspect`` takes the address and the size of what is new."""

    def __init__(self, cpu: Hardware, inspect: Callable[[int, int], None]) -> None:
        self._cpu = cpu
        self._inspect = inspect
        self.hit = False
        """The CPU was stopped at such an address."""
        self._callback = uc.EDGE_HOOK(self._on_new_code)
        cpu.engine.add_hook(uc.UC_HOOK_EDGE_GENERATED, self._callback)

    def _on_new_code(self, _uc: int, code: int, _before: int, _data: int) -> None:
        pc = c_uint64.from_address(code).value
        if pc & 3:
            self.hit = True
            uc.uc_emu_stop(self._cpu.engine.handle)
        else:
            self._inspect(pc, c_uint16.from_address(code + _SIZE).value)

    def take(self) -> int | None:
        """The exception that the hardware takes instead."""
        self.hit = False
        self._cpu.engine.flush_translations()
        return misaligned(self._cpu)


def misaligned(cpu: Hardware) -> int | None:
    """The exception at a misaligned pc: a pending step comes before the fault, which is EL1's."""
    if cpu.step_due:
        return cpu.step_exception(esr.STEP_PENDING)
    cpu.take_to_el1(_SYNDROME, cpu.pc)
    return None
