"""Where Unicorn keeps the state of its CPU, so that reading a register is a load from memory.

A call through ctypes costs a fifth of a debug step, and a step reads and writes a dozen registers;
the syndrome of an exception, its fault address and its target exception level have no call at
all. The offsets belong to a build. They are found by running three instructions with recognisable
values, once a process.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Mapping
from ctypes import c_uint64
from functools import cache
from typing import Final

from msgspec import Struct

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.cpumodels import CpuModel
from vcpu_scenario.machine.emulated.cpu import uc
from vcpu_scenario.machine.emulated.cpu.engine import Engine
from vcpu_scenario.machine.emulated.cpu.enginehandle import FEATURES, X0, Handle

_PC = 0x5EED000
_EL1H = 5
_SVC_IMM = 0x5EED
_HVC_IMM = 0x5EEE
_EXCLUSIVE = _PC + 0xAB8
_SVC = 0xD4000001 | _SVC_IMM << 5
_LDXR_X1_X0 = 0xC85F7C01
_HVC = 0xD4000002 | _HVC_IMM << 5
_SYSTEM_REGISTERS: Final = {
    sysregs.ELR_EL1: 0x5EED_0000_1110,
    sysregs.SPSR_EL1: 0x5EED_2220,
    sysregs.ESR_EL1: 0x5EED_3330,
    sysregs.FAR_EL1: 0x5EED_0000_4440,
    sysregs.VBAR_EL1: 0x5EED_0000_5000,
    sysregs.SCTLR_EL1: 0x30C5_0830,
}
"""Registers without a side effect, and the values to know them by."""

_LEFT_OUT: Final = {sysregs.ID_AA64PFR0_EL1: 0xFF << 16}
"""The fields FP and AdvSIMD: half precision, where they are 1."""

_HOLE: Final = 0x5EE_DBEE_F000
UNKNOWN_LAYOUT: Final = (
    "this build of Unicorn keeps its CPU in an unknown layout; "
    "install the pinned one: pip install unicorn==2.1.4"
)


class Layout(Struct, frozen=True):
    """Byte offsets in a saved context: x0 (then x1 to x30, SP, PC), the execution state (PSTATE
    without its flags and masks, then 1 for AArch64, u32 each), the exception's syndrome (u32),
    its fault address (u64) and target exception level (u32), the address that the exclusive
    monitor watches (u64, all ones where it is clear) and some system registers (u64 each).

    What the handle points to has at ``fault`` the physical address that a run last failed to
    access (u64), at ``executed`` how many instructions the last run began (u64), and at ``cpu`` a
    pointer. A context is a copy of the CPU's own state:
    ``state_of_cpu`` bytes from where that points is where a context would begin to be it.
    """

    x0: int
    state: int
    syndrome: int
    vaddress: int
    target_el: int
    exclusive: int
    system: Mapping[tuple[int, int, int, int, int], int]
    fault: int
    executed: int
    cpu: int
    state_of_cpu: int
    features: int
    """Where, from what ``cpu`` points to, the ID registers are that Unicorn's decoder asks."""

    def claim(self, engine: Engine, model: CpuModel) -> c_uint64:
        """Makes Unicorn decode what ``model`` has, and no more.

        But for half precision: of that, Unicorn's decoder aborts on words that are not allocated,
        so that it is left out. Returns where ID_AA64MMFR0_EL1 is, by which Unicorn has the width
        of physical addresses.
        """
        address = c_uint64.from_address(engine.address + self.cpu).value + self.features
        held = (c_uint64 * len(FEATURES)).from_address(address)
        if list(held) != [engine.read_sys(encoding) for encoding in FEATURES]:
            raise uc.UnicornError(UNKNOWN_LAYOUT)
        if model.armv8_2:
            held[:] = [
                model.id_registers.get(encoding, 0) & ~_LEFT_OUT.get(encoding, 0)
                for encoding in FEATURES
            ]
        at = FEATURES.index(sysregs.ID_AA64MMFR0_EL1)
        return c_uint64.from_address(address + ctypes.sizeof(c_uint64) * at)

    def state_address(self, engine: Engine) -> int:
        """Where the CPU of ``engine`` keeps its state; the offsets of a context count from there.

        Raises :class:`~vcpu_scenario.machine.emulated.cpu.uc.UnicornError` if it does not.
        """
        pointer = c_uint64.from_address(engine.address + self.cpu)
        address: int = pointer.value + self.state_of_cpu
        x0 = c_uint64.from_address(address + self.x0)
        engine.write(uc.UC_ARM64_REG_X0, X0)
        if x0.value != X0:
            raise uc.UnicornError(UNKNOWN_LAYOUT)
        x0.value = 0
        return address

    def fault_address(self, engine: Engine) -> int:
        return engine.address + self.fault

    def executed_address(self, engine: Engine) -> int:
        return engine.address + self.executed


@cache
def cpu_layout() -> Layout:
    """Finds the layout. Raises :class:`~vcpu_scenario.machine.emulated.cpu.uc.UnicornError` if the
    build of Unicorn does not keep it where any known build does."""
    engine = Engine()
    page = mmap.mmap(-1, 4096)
    host = ctypes.addressof(ctypes.c_char.from_buffer(page))
    engine.map_ptr(_PC, 4096, uc.UC_PROT_ALL, host)
    page[0:12] = struct.pack("<III", _SVC, _HVC, _LDXR_X1_X0)
    engine.write_sys(sysregs.SCR_EL3, 0x531)
    engine.write_sys(sysregs.HCR_EL2, 1 << 31)
    engine.write(uc.UC_ARM64_REG_X0, X0)

    def run(pc: int) -> bytes:
        engine.run(pc, 1)
        return engine.saved_context()

    def fetch_fault() -> int:
        engine.run(_HOLE, 1)
        return _HOLE

    def load_fault() -> int:
        engine.write(uc.UC_ARM64_REG_X0, 2 * _HOLE)
        engine.run(_PC + 8, 1)
        return 2 * _HOLE

    after_svc, after_hvc = run(_PC), run(_PC + 4)
    engine.write(uc.UC_ARM64_REG_X0, _EXCLUSIVE)
    after_ldxr = run(_PC + 8)
    system = _system_registers(engine)
    x0 = after_svc.find(struct.pack("<Q", X0))
    pc_found = struct.unpack_from("<Q", after_svc, x0 + 32 * 8)[0] if x0 >= 0 else 0
    syndrome = after_svc.find(struct.pack("<I", 0x56000000 | _SVC_IMM))
    exclusive = _monitor(after_svc, after_ldxr)
    state = x0 + 33 * 8
    handle = Handle(engine)
    fault = handle.fault_address(fetch_fault, load_fault)
    executed = handle.executed(lambda count: engine.run(_PC, count))
    cpu, x0_of_cpu = handle.live_registers(fault)
    features = handle.features(cpu)
    handle.close()
    engine.close()
    layout = Layout(
        x0,
        state,
        syndrome,
        syndrome + 8,
        syndrome + 16,
        exclusive,
        system,
        fault,
        executed,
        cpu,
        x0_of_cpu - x0,
        features,
    )
    hvc_ok = struct.pack("<I", 0x5A000000 | _HVC_IMM) == after_hvc[syndrome : syndrome + 4]
    targets = after_svc[layout.target_el], after_hvc[layout.target_el]
    state_ok = struct.unpack_from("<II", after_svc, state) == (_EL1H, 1)
    found = min(x0, syndrome, exclusive, fault, executed, cpu, features, *system.values()) >= 0
    if not found or pc_found != _PC + 4 or not hvc_ok or not state_ok or targets != (1, 2):
        raise uc.UnicornError(UNKNOWN_LAYOUT)
    return layout


def _monitor(clear: bytes, watching: bytes) -> int:
    """Where all ones became the address of the LDXR."""
    address = struct.pack("<Q", _EXCLUSIVE)
    at = watching.find(address)
    while at >= 0 and clear[at : at + 8] != b"\xff" * 8:
        at = watching.find(address, at + 1)
    return at


def _system_registers(engine: Engine) -> dict[tuple[int, int, int, int, int], int]:
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
