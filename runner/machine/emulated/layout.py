"""Where Unicorn keeps the state of its CPU, so that reading a register is a load from memory.

A call through ctypes costs a fifth of a debug step, and a step reads and writes a dozen registers;
the syndrome of an exception, its fault address and its target exception level have no call at
all. The offsets belong to a build. They are found by running three instructions with recognisable
values, once a process.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from runner.machine.emulated import uc

ELR_EL1: Final = (3, 0, 4, 0, 1)
SPSR_EL1: Final = (3, 0, 4, 0, 0)
ESR_EL1: Final = (3, 0, 5, 2, 0)
FAR_EL1: Final = (3, 0, 6, 0, 0)
VBAR_EL1: Final = (3, 0, 12, 0, 0)
SCTLR_EL1: Final = (3, 0, 1, 0, 0)

_X0 = 0x5EED_0000_0000_0A64
_PC = 0x5EED000
_EL1H = 5
_SVC_IMM = 0x5EED
_HVC_IMM = 0x5EEE
_EXCLUSIVE = _PC + 0xAB8
_SVC = 0xD4000001 | _SVC_IMM << 5
_LDXR_X1_X0 = 0xC85F7C01
_HVC = 0xD4000002 | _HVC_IMM << 5
_SCR_EL3 = (3, 6, 1, 1, 0)
_HCR_EL2 = (3, 4, 1, 1, 0)
_SYSTEM_REGISTERS: Final = {
    ELR_EL1: 0x5EED_0000_1110,
    SPSR_EL1: 0x5EED_2220,
    ESR_EL1: 0x5EED_3330,
    FAR_EL1: 0x5EED_0000_4440,
    VBAR_EL1: 0x5EED_0000_5000,
    SCTLR_EL1: 0x30C5_0830,
}
"""Registers without a side effect, and the values to know them by."""

_HOLES: Final = (0x5EED_BEEF_000, 0x5EE_BEEF_0000)
_HANDLE_SIZE: Final = 8192
_CPU_SIZE: Final = 65536
"""More than the pointer and the registers have ever been from the beginning."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Byte offsets in a saved context: x0 (then x1 to x30, SP, PC), the execution state (PSTATE
    without its flags and masks, then 1 for AArch64, u32 each), the exception's syndrome (u32),
    its fault address (u64) and target exception level (u32), the address that the exclusive
    monitor watches (u64, all ones where it is clear) and some system registers (u64 each).

    A context is a copy of the CPU's own state: the pointer at ``cpu`` of what the handle points
    to, and ``state_of_cpu`` bytes on, is where a context would begin to be that state itself.
    """

    x0: int
    state: int
    syndrome: int
    vaddress: int
    target_el: int
    exclusive: int
    system: Mapping[tuple[int, int, int, int, int], int]
    cpu: int
    state_of_cpu: int
    fault: int
    """In what the handle points to: the physical address that a run last failed to access (u64)."""

    def state_address(self, engine: uc.Engine) -> int:
        """Where the CPU of ``engine`` keeps its state; the offsets count from there."""
        pointer = ctypes.c_uint64.from_address(engine.address + self.cpu)
        return pointer.value + self.state_of_cpu

    def fault_address(self, engine: uc.Engine) -> int:
        return engine.address + self.fault


@cache
def cpu_layout() -> Layout:
    """Finds the layout. Raises :class:`~runner.machine.emulated.uc.UnicornError` if the build
    of Unicorn does not keep it where any known build does."""
    engine = uc.Engine()
    page = mmap.mmap(-1, 4096)
    host = ctypes.addressof(ctypes.c_char.from_buffer(page))
    engine.map_ptr(_PC, 4096, uc.UC_PROT_ALL, host)
    page[0:12] = struct.pack("<III", _SVC, _HVC, _LDXR_X1_X0)
    engine.write_sys(_SCR_EL3, 0x531)
    engine.write_sys(_HCR_EL2, 1 << 31)
    engine.write(uc.UC_ARM64_REG_X0, _X0)

    def run(pc: int) -> bytes:
        engine.run(pc, 1)
        return engine.saved_context()

    after_svc, after_hvc = run(_PC), run(_PC + 4)
    engine.write(uc.UC_ARM64_REG_X0, _EXCLUSIVE)
    after_ldxr = run(_PC + 8)
    system = _system_registers(engine)
    x0 = after_svc.find(struct.pack("<Q", _X0))
    pc_found = struct.unpack_from("<Q", after_svc, x0 + 32 * 8)[0] if x0 >= 0 else 0
    syndrome = after_svc.find(struct.pack("<I", 0x56000000 | _SVC_IMM))
    exclusive = _monitor(after_svc, after_ldxr)
    state = x0 + 33 * 8
    handle = _Handle(engine)
    cpu, x0_of_cpu = handle.live_registers()
    fault = handle.fault_address()
    layout = Layout(
        x0,
        state,
        syndrome,
        syndrome + 8,
        syndrome + 16,
        exclusive,
        system,
        cpu,
        x0_of_cpu - x0,
        fault,
    )
    engine.close()
    hvc_ok = struct.pack("<I", 0x5A000000 | _HVC_IMM) == after_hvc[syndrome : syndrome + 4]
    targets = after_svc[layout.target_el], after_hvc[layout.target_el]
    state_ok = struct.unpack_from("<II", after_svc, state) == (_EL1H, 1)
    found = min(x0, syndrome, exclusive, cpu, fault, *system.values()) >= 0
    if not found or pc_found != _PC + 4 or not hvc_ok or not state_ok or targets != (1, 2):
        raise uc.UnicornError(
            "this build of Unicorn keeps its CPU in an unknown layout; "
            "install the pinned one: pip install unicorn==2.1.4"
        )
    return layout


def _monitor(clear: bytes, watching: bytes) -> int:
    """Where all ones became the address of the LDXR."""
    address = struct.pack("<Q", _EXCLUSIVE)
    at = watching.find(address)
    while at >= 0 and clear[at : at + 8] != b"\xff" * 8:
        at = watching.find(address, at + 1)
    return at


def _system_registers(engine: uc.Engine) -> dict[tuple[int, int, int, int, int], int]:
    """Where each of the registers became its value; -1 where that is not plain to see."""
    found = {}
    for encoding, value in _SYSTEM_REGISTERS.items():
        before = engine.saved_context()
        engine.write_sys(encoding, value)
        after, sought = engine.saved_context(), struct.pack("<Q", value)
        at = after.find(sought)
        alone = after.find(sought, at + 1) < 0 and before[at : at + 8] != sought
        found[encoding] = at if alone else -1
    return found


class _Handle:
    """What the handle of an engine points to, where the CPU is found without a name."""

    def __init__(self, engine: uc.Engine) -> None:
        self._engine = engine

    def _words(self) -> list[int]:
        content = _peek(self._engine.address, _HANDLE_SIZE)
        return [word for (word,) in struct.iter_unpack("<Q", content)]

    def live_registers(self) -> tuple[int, int]:
        """The offset of the pointer to the CPU, and that of x0 from where it points; (-1, -1)
        where none leads to registers that follow Unicorn's own."""
        sought = self._mark_registers(_X0)
        for n, pointer in enumerate(self._words()):
            x0 = _peek(pointer, _CPU_SIZE).find(sought) if pointer and not pointer % 8 else -1
            if x0 >= 0:
                followed = self._mark_registers(_X0 + 8)
                if _peek(pointer + x0, len(followed)) == followed:
                    return 8 * n, x0
                self._mark_registers(_X0)
        return -1, -1

    def _mark_registers(self, first: int) -> bytes:
        """Gives x0 to x7 values that follow on ``first``, and returns what they look like."""
        for n in range(8):
            self._engine.write(uc.UC_ARM64_REG_X0 + n, first + n)
        return struct.pack("<8Q", *range(first, first + 8))

    def fault_address(self) -> int:
        """The offset of the address that a run failed to access; -1 where there is none."""
        candidates: set[int] | None = None
        for address in _HOLES:
            self._engine.run(address, 1)
            now = {8 * n for n, word in enumerate(self._words()) if word == address}
            candidates = now if candidates is None else candidates & now
        return candidates.pop() if candidates and len(candidates) == 1 else -1


def _peek(address: int, size: int) -> bytes:
    """Up to ``size`` bytes from ``address``, which may lead nowhere: the kernel says so of what it
    is asked to write to a pipe, where a load would crash."""
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        count = ctypes.CDLL(None).write(writing, ctypes.c_void_p(address), ctypes.c_size_t(size))
        return os.read(reading, count) if count > 0 else b""
    finally:
        os.close(reading)
        os.close(writing)
