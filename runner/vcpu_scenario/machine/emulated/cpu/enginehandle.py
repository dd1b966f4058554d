"""What the handle of a Unicorn engine points to, where its CPU is found without a name."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable, Iterator
from ctypes import c_size_t, c_uint64, c_void_p
from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.machine.emulated.cpu import uc
from vcpu_scenario.machine.emulated.cpu.engine import Engine

X0 = 0x5EED_0000_0000_0A64
COUNT = 0x5EED_C047
FEATURES: Final = (
    sysregs.ID_AA64ISAR0_EL1,
    sysregs.ID_AA64ISAR1_EL1,
    sysregs.ID_AA64PFR0_EL1,
    sysregs.ID_AA64PFR1_EL1,
    sysregs.ID_AA64MMFR0_EL1,
    sysregs.ID_AA64MMFR1_EL1,
    sysregs.ID_AA64MMFR2_EL1,
)
"""As they follow each other in Unicorn's CPU."""

_HANDLE_SIZE: Final = 8192
_CPU_SIZE: Final = 65536
"""More than the pointer and the registers have ever been from the beginning."""
_USUAL: Final = (440, 41872)
"""Where both are on 64-bit Linux, to look there first."""
_libc: Final = ctypes.CDLL(None)


class Handle:
    """What the handle of an engine points to, where the CPU is found without a name."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)

    def close(self) -> None:
        os.close(self._reading)
        os.close(self._writing)

    def _peek(self, address: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``address``, which may lead nowhere: the kernel says so of
        what it is asked to write to a pipe, where a load would crash."""
        found = b""
        while len(found) < size:
            start, left = c_void_p(address + len(found)), c_size_t(size - len(found))
            count = _libc.write(self._writing, start, left)
            if count <= 0:
                break
            found += os.read(self._reading, count)
        return found

    def fault_address(self, *failing: Callable[[], int]) -> int:
        """The offset of the address that a run failed to access; -1 where there is none. Each of
        ``failing`` makes a run fail and tells where."""
        offsets: set[int] = set()
        for fail in failing:
            address = struct.pack("<Q", fail())
            content = self._peek(self._engine.address, _HANDLE_SIZE)
            now = {at for at in range(0, len(content), 8) if content[at : at + 8] == address}
            offsets = offsets & now if offsets else now
        return min(offsets, default=-1)

    def executed(self, run: Callable[[int], object]) -> int:
        """The offset of the count of instructions, which is followed by what it may come to; -1
        where that is not plain to see. ``run`` runs one that ends the run."""
        run(COUNT)
        sought = struct.pack("<QQ", 1, COUNT)
        content = self._peek(self._engine.address, _HANDLE_SIZE)
        at = content.find(sought)
        return at if content.find(sought, at + 1) < 0 else -1

    def features(self, cpu: int) -> int:
        """The offset of the ID registers in the CPU, to which the pointer at ``cpu`` leads; -1
        where they are not, or twice."""
        if cpu < 0:
            return -1
        sought = struct.pack("<7Q", *map(self._engine.read_sys, FEATURES))
        pointer = c_uint64.from_address(self._engine.address + cpu).value
        content = self._peek(pointer, _CPU_SIZE)
        at = content.find(sought)
        return at if content.find(sought, at + 1) < 0 else -1

    def live_registers(self, size: int) -> tuple[int, int]:
        """The offset of the pointer to the CPU, in the first ``size`` bytes, and that of x0 from
        where it points; (-1, -1) where none leads to registers that follow Unicorn's own.

        Pointers to what happens to lie before the CPU lead there too, but from further away.
        """
        content = self._peek(self._engine.address, size)
        pointers = [pointer for (pointer,) in struct.iter_unpack("<Q", content)]
        sought = self._mark_registers(X0)
        at, x0 = _USUAL
        if at >= size or self._peek(pointers[at // 8] + x0, len(sought)) != sought:
            x0, at = min(self._leads(pointers, sought), default=(-1, -1))
        followed = self._mark_registers(X0 + 8)
        found = at >= 0 and self._peek(pointers[at // 8] + x0, len(followed)) == followed
        return (at, x0) if found else (-1, -1)

    def _leads(self, pointers: list[int], sought: bytes) -> Iterator[tuple[int, int]]:
        """How far behind each pointer ``sought`` is, with the pointer's offset."""
        for n, pointer in enumerate(pointers):
            x0 = self._peek(pointer, _CPU_SIZE).find(sought) if pointer and not pointer % 8 else -1
            if x0 >= 0:
                yield x0, 8 * n

    def _mark_registers(self, first: int) -> bytes:
        """Gives x0 to x7 values that follow on ``first``, and returns what they look like."""
        for n in range(8):
            self._engine.write(uc.UC_ARM64_REG_X0 + n, first + n)
        return struct.pack("<8Q", *range(first, first + 8))
