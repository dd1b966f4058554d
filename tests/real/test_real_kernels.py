"""Real kernels in a lab: they give what was recorded from them, and what no recording asks.

Needs QEMU and kernels that were fetched (``scenario lab fetch 5.10
7.2``). ``LAB_KERNELS`` names others than one old and one new, or ``all``.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from vcpu_scenario.case import (
    AddMemslot,
    Case,
    Device,
    HostInterrupt,
    Limits,
    Load,
    Memslot,
    WriteMemory,
)
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetMpState, SetVcpuEvents
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.real.lab import Lab, Result, Skipped
from vcpu_scenario.recordings.conform import first_difference
from vcpu_scenario.recordings.jobs import jobs
from vcpu_scenario.trace import Trace

pytestmark = pytest.mark.slow

RECORDED = Path(__file__).parents[1] / "recorded"
RAM = Memslot(0x4000_0000, 0x10000)
BRK = 0xD420_0000


def program(*words: int, **more: object) -> Case:
    code = b"".join(word.to_bytes(4, "little") for word in words)
    whole: dict[str, object] = {
        "slots": (RAM,),
        "loads": (Load(RAM.base, code),),
        "regs": (("pc", RAM.base),),
        "debug": GuestDebug(abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_USE_SW_BP),
        "skip_brk": "never",
        "limits": Limits(exits=4, repeats=1),
        **more,
    }
    return Case(**whole)  # type: ignore[arg-type]


def trace(result: Result) -> Trace:
    assert isinstance(result, Trace), result
    return result


@pytest.mark.parametrize("file", ["core", "gicv2"])
def test_a_kernel_gives_what_was_recorded_from_it(lab: Lab, file: str) -> None:
    differing = {}
    for job in jobs(RECORDED / f"{file}.json.xz"):
        recorded = job.trace(lab.kernel)
        if recorded is not None:
            found = first_difference(recorded, trace(lab.run(job.case)))
            if found is not None:
                differing[job.name] = found
    assert differing == {}


def test_memory_and_registers_can_be_read_at_the_end(lab: Lab) -> None:
    # mov x1, #0x1234; str x1, [x0]; brk #0
    case = program(
        0xD282_4681,
        0xF900_0001,
        BRK,
        regs=(("pc", RAM.base), ("x0", RAM.base + 0x100)),
        peek=((RAM.base + 0x100, 8), (RAM.base, 4)),
        final_regs=("x1", "pc"),
        limits=Limits(exits=1),
    )
    found = trace(lab.run(case))
    assert found.memory == {
        RAM.base + 0x100: (0x1234).to_bytes(8, "little"),
        RAM.base: (0xD282_4681).to_bytes(4, "little"),
    }
    assert found.final_regs == {"x1": 0x1234, "pc": RAM.base + 8}


def test_code_that_is_written_between_runs_is_run(lab: Lab) -> None:
    nop = (0xD503_201F).to_bytes(4, "little")
    case = program(
        BRK | 1 << 5,
        BRK | 2 << 5,
        on=((0, (WriteMemory(RAM.base, nop),)),),
        limits=Limits(exits=2),
    )
    found = trace(lab.run(case))
    assert [exit_.fields["hsr"] & 0xFFFF for exit_ in found.exits] == [1, 2]


def test_a_slot_that_is_added_between_runs_is_memory(lab: Lab) -> None:
    # ldr x1, [x0]; ldr x1, [x0]; brk #0
    late = Memslot(0x5000_0000, 0x1000)
    case = program(
        0xF940_0001,
        0xF940_0001,
        BRK,
        regs=(("pc", RAM.base), ("x0", late.base)),
        on=((0, (AddMemslot(late), WriteMemory(late.base, b"\x07"))),),
        limits=Limits(exits=2),
    )
    found = trace(lab.run(case))
    assert [exit_.exit for exit_ in found.exits] == ["MMIO", "DEBUG"]
    assert found.exits[1].regs["x1"] == 7


def test_a_powered_off_vcpu_runs_again_once_it_is_made_runnable(lab: Lab) -> None:
    # brk #0; brk #1
    again = SetMpState(abi.KVM_MP_STATE_RUNNABLE)
    case = program(
        BRK,
        BRK | 1 << 5,
        before=(SetMpState(abi.KVM_MP_STATE_STOPPED),),
        on=((0, (again,)),),
        limits=Limits(exits=2, seconds=0.05),
    )
    found = trace(lab.run(case))
    assert [(exit_.ret, exit_.errno) for exit_ in found.exits] == [(-1, 4), (0, 0)]
    assert found.exits[1].exit == "DEBUG"


def test_an_abort_that_the_vmm_injects_is_taken(lab: Lab) -> None:
    # ldr x1, [x0]; at the vector of a synchronous exception from EL1h: brk #9
    vectors = RAM.base + 0x800
    case = program(
        0xF940_0001,
        loads=(
            Load(RAM.base, (0xF940_0001).to_bytes(4, "little")),
            Load(vectors + 0x200, (BRK | 9 << 5).to_bytes(4, "little")),
        ),
        regs=(("pc", RAM.base), ("x0", 0x5000_0000), ("vbar_el1", vectors)),
        on=((0, (SetVcpuEvents(ext_dabt=True),)),),
        final_regs=("far_el1", "esr_el1"),
        limits=Limits(exits=2),
    )
    found = trace(lab.run(case))
    assert found.exits[1].exit == "DEBUG"
    assert found.exits[1].fields["hsr"] & 0xFFFF == 9
    assert found.final_regs["far_el1"] == 0x5000_0000


def test_userspace_devices_answer_and_their_output_comes_back(lab: Lab) -> None:
    # ldr w1, [x0]; str w1, [x0]; brk #0
    case = program(
        0xB940_0001,
        0xB900_0001,
        BRK,
        regs=(("pc", RAM.base), ("x0", 0x0900_0000)),
        devices=(Device("uart", 0x0900_0000, 0x1000, "pl011", input=b"A"),),
        limits=Limits(exits=3),
    )
    found = trace(lab.run(case))
    assert [exit_.exit for exit_ in found.exits] == ["MMIO", "MMIO", "DEBUG"]
    assert found.output == {"uart": b"A"}


def test_a_run_is_cut_off_in_time(lab: Lab) -> None:
    # b .
    found = trace(lab.run(program(0x1400_0000, limits=Limits(seconds=0.02))))
    assert (found.exits[0].exit, found.exits[0].errno) == ("INTR", 4)
    assert found.ended == "interrupted"


def test_a_case_for_the_emulated_machine_alone_is_skipped(lab: Lab) -> None:
    result = lab.run(program(BRK, before=(HostInterrupt(),)))
    assert isinstance(result, Skipped)
    assert "not on request" in result.reason


def test_what_the_kernel_refuses_is_in_the_trace(lab: Lab) -> None:
    found = trace(lab.run(program(BRK, slots=(RAM, Memslot(0x5000_0100, 0x1000)))))
    assert found.errno == 22
    assert found.error == "KVM_SET_USER_MEMORY_REGION: EINVAL"


def test_a_case_leaves_nothing_to_the_next(lab: Lab) -> None:
    case = program(BRK, limits=Limits(exits=1))
    before = lab.run(case)
    lab.run(program(0xF940_0001, regs=(("pc", RAM.base), ("x0", 0x5000_0000))))
    assert lab.run(case) == before


def test_the_booted_kernel_is_the_one_that_was_asked_for(lab: Lab) -> None:
    assert lab.release().startswith(lab.kernel + ".")
