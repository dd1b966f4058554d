"""Which words of SIMD&FP are instructions: an unallocated one is UNDEFINED before it could trap.

Unicorn knows, so it is asked: a CPU of its own runs the word where nothing can come of it.
"""

from __future__ import annotations

import ctypes
import mmap
from functools import cache, lru_cache
from typing import Final

from vcpu_scenario.arm64 import esr
from vcpu_scenario.arm64.cpumodels import CPUS, CpuModel
from vcpu_scenario.machine.emulated.cpu import uc
from vcpu_scenario.machine.emulated.cpu.regfile import RegisterFile

_CODE: Final = 0x1000
_NOWHERE: Final = 0x7000_0000_0000
"""An address at which there is no memory, for any load or store."""


class _Trial:
    """The CPU and its one instruction."""

    def __init__(self, model: CpuModel) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE)
        self._word = ctypes.c_uint32.from_buffer(self._memory)
        self._cpu = RegisterFile(model)
        rights = uc.UC_PROT_READ | uc.UC_PROT_EXEC
        self._cpu.engine.map_ptr(_CODE, 0x1000, rights, ctypes.addressof(self._word))

    def is_allocated(self, word: int) -> bool:
        cpu = self._cpu
        self._word.value = word
        cpu.engine.drop_translations(_CODE, _CODE + 4)
        for n in range(32):
            cpu.regs[n] = _NOWHERE
        status = cpu.engine.run(_CODE, 1)
        if status == uc.UC_ERR_INSN_INVALID:
            return False
        undefined = cpu.syndrome.value >> esr.EC_SHIFT == esr.EC_UNKNOWN
        return status != uc.UC_ERR_EXCEPTION or not undefined


@cache
def _trial(cpu: str) -> _Trial:
    return _Trial(CPUS[cpu])


@lru_cache(maxsize=1 << 16)
def is_allocated(word: int, cpu: str) -> bool:
    """Whether the CPU of that name has such an instruction of SIMD&FP; not told for half precision,
    which Unicorn's own does not have."""
    return _trial(cpu).is_allocated(word)
