"""The floor: bare loops on Unicorn through ctypes that make the same steps and exits.

They do what a program has to that keeps to Unicorn's documented calls (start, save the context,
write a result), declared as ctypes wants them, and nothing of KVM. A ratio to them is what the
emulation adds, whatever the host's speed. The machine itself finds its way around some of these
calls: :func:`alone` is the one that nothing gets around.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Callable
from ctypes import c_int, c_size_t, c_uint64, c_void_p
from time import process_time

from vcpu_scenario.machine.emulated.cpu import uc
from vcpu_scenario.machine.emulated.cpu.engine import Engine
from vcpu_scenario.machine.emulated.cpu.layout import cpu_layout

BASE = 0x4000_0000
HOLE = 0x0900_0000
_SCR_EL3 = (3, 6, 1, 1, 0)
_HCR_EL2 = (3, 4, 1, 1, 0)
_MDCR_EL2 = (3, 4, 1, 1, 1)
_MDSCR_EL1 = (2, 0, 0, 2, 2)
_BUDGET = 1_000_000

STEP = (0x91000421, 0x17FFFFFF)  # add x1,x1,#1; b .-4
READ = (0xB9400002, 0x17FFFFFF)  # ldr w2,[x0]; b .-4
WRITE = (0xB9000002, 0x17FFFFFF)  # str w2,[x0]; b .-4
HYPERCALL = (0xD4000002, 0x17FFFFFF)  # hvc #0; b .-4
EXCEPTION = (0xD4000001, 0x17FFFFFF)  # svc #0; b .-4

_start = uc.prototype("uc_emu_start", c_void_p, c_uint64, c_uint64, c_uint64, c_size_t)
_write = uc.prototype("uc_reg_write", c_void_p, c_int, c_void_p)


class Bare:
    """A Unicorn with one page of code and, if wanted, a hook that notes unmapped accesses."""

    def __init__(self, code: tuple[int, ...], *, hook: bool = True) -> None:
        self.engine = Engine()
        self._page = mmap.mmap(-1, 4096)
        self._page[: 4 * len(code)] = struct.pack(f"<{len(code)}I", *code)
        host = ctypes.addressof(ctypes.c_char.from_buffer(self._page))
        self.engine.map_ptr(BASE, 4096, uc.UC_PROT_ALL, host)
        self.engine.write_sys(_SCR_EL3, 0x531)
        self.engine.write_sys(_HCR_EL2, 1 << 31)
        self.fault = 0
        self._hook = uc.MEM_INVALID_HOOK(self._on_fault)
        if hook:
            self.engine.add_hook(uc.UC_HOOK_MEM_UNMAPPED, self._hook)
        self.engine.write(uc.UC_ARM64_REG_X0, HOLE)
        self.engine.write(uc.UC_ARM64_REG_PSTATE, 0x3C5)
        self.context = self.engine.new_context()
        self.regs = (c_uint64 * 33).from_address((self.context.value or 0) + cpu_layout().x0)

    def _on_fault(
        self, _uc: int, _kind: int, address: int, _size: int, _value: int, _data: int
    ) -> bool:
        self.fault = address
        return False


def _timed(loop: Callable[[int], None], count: int) -> float:
    loop(200)
    start = process_time()
    loop(count)
    return (process_time() - start) / count


def step(count: int) -> float:
    """Seconds for a software step: PSTATE.SS, run, context."""
    bare = Bare(STEP)
    engine, regs = bare.engine, bare.regs
    engine.write_sys(_MDCR_EL2, 1 << 8)
    engine.write_sys(_MDSCR_EL1, 1)
    pstate = c_uint64(0x2003C5)
    pstate_ref = ctypes.byref(pstate)
    start, save, write = _start, uc.uc_context_save, _write

    def loop(n: int) -> None:
        handle, context, pc = engine.handle, bare.context, BASE
        for _ in range(n):
            write(handle, uc.UC_ARM64_REG_PSTATE, pstate_ref)
            start(handle, pc, 0, 0, _BUDGET)
            save(handle, context)
            pc = regs[32]

    return _timed(loop, count)


def access(code: tuple[int, ...], count: int) -> float:
    """Seconds for an access that exits: run, context, decode, its result, pc."""
    bare = Bare(code)
    engine, regs = bare.engine, bare.regs
    value = c_uint64(0x55)
    value_ref = ctypes.byref(value)
    start, save, write = _start, uc.uc_context_save, _write
    word = code[0]

    def loop(n: int) -> None:
        handle, context, pc = engine.handle, bare.context, BASE
        for _ in range(n):
            start(handle, pc, 0, 0, _BUDGET)
            save(handle, context)
            rt, address, width = word & 31, bare.fault, 1 << (word >> 30)
            if word >> 22 & 1:
                write(handle, uc.UC_ARM64_REG_X0 + rt, value_ref)
            else:
                _ = (regs[rt] & (1 << 8 * width) - 1, address)
            pc = regs[32] + 4

    return _timed(loop, count)


def trap(code: tuple[int, ...], count: int) -> float:
    """Seconds for an exception that ends a run, and going on behind it."""
    bare = Bare(code)
    engine, regs = bare.engine, bare.regs
    start, save = _start, uc.uc_context_save

    def loop(n: int) -> None:
        handle, context, pc = engine.handle, bare.context, BASE
        for _ in range(n):
            start(handle, pc, 0, 0, _BUDGET)
            save(handle, context)
            pc = regs[32]

    return _timed(loop, count)


def alone(code: tuple[int, ...], count: int, *, stepping: bool = False) -> float:
    """Seconds for ``uc_emu_start`` with arguments made before, and nothing around it."""
    bare = Bare(code, hook=False)
    engine = bare.engine
    if stepping:
        engine.write_sys(_MDCR_EL2, 1 << 8)
        engine.write_sys(_MDSCR_EL1, 1)
    state = c_uint64.from_address(cpu_layout().state_address(engine) + cpu_layout().state)
    ready = state.value | stepping << 21  # PSTATE.SS
    start, zero, budget = uc.uc_emu_start, uc.ZERO, c_size_t(_BUDGET)

    def loop(n: int) -> None:
        handle, pc = engine.handle, c_uint64(BASE)
        for _ in range(n):
            state.value = ready
            start(handle, pc, zero, zero, budget)

    return _timed(loop, count)
