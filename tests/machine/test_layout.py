"""Where Unicorn keeps its CPU: found in any case, and refused where it is not there."""

from __future__ import annotations

import mmap
import struct
from ctypes import addressof, c_char

import pytest
from msgspec.structs import replace
from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.case import Case, Limits, Load, Memslot
from vcpu_scenario.machine.emulated.cpu import enginehandle, layout, uc
from vcpu_scenario.machine.emulated.cpu.engine import Engine
from vcpu_scenario.machine.emulated.cpu.regfile import RegisterFile
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.vmm.loop import run_case

_X0, _PC = uc.UC_ARM64_REG_X0, uc.UC_ARM64_REG_PC


def test_the_cpu_is_found_where_it_is_not_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search by the registers' values leads to what the usual place has."""
    usual = layout.cpu_layout()
    monkeypatch.setattr(enginehandle, "_USUAL", (8, 16))
    assert layout.cpu_layout.__wrapped__() == usual


def test_registers_in_memory_are_those_of_the_calls() -> None:
    """What a call writes is read from memory, and what is written there is read by a call."""
    registers = RegisterFile()
    engine = registers.engine
    for n in range(29):
        engine.write(_X0 + n, 0x1000 + n)
    assert list(registers.regs[:29]) == [0x1000 + n for n in range(29)]
    registers.pc = 0x4000_0000
    assert engine.read(_PC) == 0x4000_0000
    for encoding, cell in {
        sysregs.ELR_EL1: registers.elr_el1,
        sysregs.SPSR_EL1: registers.spsr_el1,
        sysregs.ESR_EL1: registers.esr_el1,
        sysregs.FAR_EL1: registers.far_el1,
        sysregs.VBAR_EL1: registers.vbar_el1,
        sysregs.SCTLR_EL1: registers.sctlr_el1,
    }.items():
        engine.write_sys(encoding, 0x30C5_0800)
        assert cell.value == 0x30C5_0800
        cell.value = 0x30C5_0000
        assert engine.read_sys(encoding) == 0x30C5_0000
    engine.close()


def test_the_address_of_a_failed_access_is_in_memory() -> None:
    """Also that of an access that only its second page lacks."""
    registers = RegisterFile()
    engine = registers.engine
    page = mmap.mmap(-1, 4096)
    page[:4] = struct.pack("<I", 0xF940_0001)  # ldr x1, [x0]
    host = addressof(c_char.from_buffer(page))
    engine.map_ptr(0x4000_0000, 4096, uc.UC_PROT_ALL, host)
    for address, failed in ((0x0900_0018, 0x0900_0018), (0x4000_0FFC, 0x4000_1000)):
        registers.set_x(0, address)
        assert engine.run(0x4000_0000, 1) == uc.UC_ERR_READ_UNMAPPED
        assert registers.fault_ipa.value == failed
    engine.close()


@pytest.mark.parametrize("word", [0xF900_0001, 0xF940_0001], ids=["store", "load"])
@pytest.mark.parametrize("before", [1, 2, 7])
def test_an_access_that_leaves_ram_fails_where_ram_ends(word: int, before: int) -> None:
    """FAR is then the first byte that is not there, which Unicorn's last word on a store is not."""
    ram = Memslot(0x4000_0000, 0x10000)
    end = ram.base + ram.size
    case = Case(
        slots=(ram,),
        loads=(Load(ram.base, struct.pack("<I", word)),),
        regs=(("pc", ram.base), ("x0", end - before)),
        limits=Limits(exits=1),
    )
    machine = create("6.12")
    (exit_,) = run_case(machine, case).exits
    machine.close()
    assert (exit_.exit, exit_.fields["addr"]) == ("MMIO", end)


def test_another_layout_is_refused() -> None:
    """An instance whose registers are elsewhere is not used."""
    wrong = replace(layout.cpu_layout(), state_of_cpu=layout.cpu_layout().state_of_cpu + 8)
    engine = Engine()
    with pytest.raises(uc.UnicornError, match=r"pip install unicorn==2\.1\.4"):
        wrong.state_address(engine)
    engine.close()
