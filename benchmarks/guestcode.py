"""Guest code that runs without an exit: the machine beside Unicorn alone, and memory mapped."""

from __future__ import annotations

import ctypes
import mmap
import struct
from time import process_time

from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.case import Case, Load, Memslot
from vcpu_scenario.machine.emulated.cpu import uc
from vcpu_scenario.machine.emulated.cpu.engine import Engine
from vcpu_scenario.machine.emulated.machine import EmulatedMachine, create
from vcpu_scenario.vmm.setup import set_up

from benchmarks import floor

KERNEL = "6.12"
_SIZE = 1 << 20
_WARM = 1000
_FADD = 0x4E20D400  # fadd v0.4s, v0.4s, v0.4s
_MRS = 0xD5384100  # mrs x0, sp_el0
_CPACR_EL1 = (3, 0, 1, 0, 2)
_BODY = (
    w.access(3, w.LOAD, 2, 1, 0),
    w.add_immediate(2, 2, 1),
    w.access(3, w.STORE, 2, 1, 0),
    _FADD,
    _MRS,
    w.add_immediate(3, 3, 1),
)
_CODE = (
    w.movz(9, 0x30, 1),
    w.msr(9, _CPACR_EL1),
    w.ISB,
    *_BODY,
    w.b(-4 * len(_BODY)),
    *(_FADD, w.NOP, _MRS, w.NOP) * 200,  # which an image is full of, and which never run
)
_RAM = 128 << 20
_TOUCHING = (
    w.access(3, w.STORE, 2, 1, 0),
    0x91400421,  # add x1, x1, #1, lsl #12
    0xEB04003F,  # cmp x1, x4
    w.b_cond(1, -12),
    w.b(0),
)


def _made(code: tuple[int, ...], size: int, end: int = 0) -> EmulatedMachine:
    made = create(KERNEL)
    data = struct.pack(f"<{len(code)}I", *code)
    registers = (("pc", floor.BASE), ("x1", floor.BASE + 0x8000), ("x4", end))
    slots, loads = (Memslot(floor.BASE, size),), (Load(floor.BASE, data),)
    set_up(made, Case(slots=slots, loads=loads, regs=registers))
    return made


def machine(count: int) -> float:
    """Seconds for ``count`` instructions of compiled code on the machine."""
    made = _made(_CODE, _SIZE)
    made.kvm_run(instructions=_WARM, seconds=10)
    start = process_time()
    made.kvm_run(instructions=count, seconds=100)
    return process_time() - start


def bare(count: int) -> float:
    """The same on Unicorn alone, which counts them too."""
    engine = Engine()
    memory = mmap.mmap(-1, _SIZE)
    memory[: 4 * len(_CODE)] = struct.pack(f"<{len(_CODE)}I", *_CODE)
    host = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    engine.map_ptr(floor.BASE, _SIZE, uc.UC_PROT_ALL, host)
    engine.write(uc.UC_ARM64_REG_X0 + 1, floor.BASE + 0x8000)
    engine.run(floor.BASE, _WARM)
    start = process_time()
    engine.run(floor.BASE, count)
    taken = process_time() - start
    engine.close()
    return taken


def mapping() -> float:
    """Seconds in which a guest touches each page of 128 MiB."""
    made = _made(_TOUCHING, _RAM, floor.BASE + _RAM)
    start = process_time()
    made.kvm_run(instructions=10_000_000, seconds=100)
    return process_time() - start
