"""What the machine refuses, and what bounds it where a guest tries to get round its limits."""

from __future__ import annotations

import struct
from errno import EEXIST, EFAULT, EINTR, EINVAL, ENOMEM

import pytest
from msgspec.structs import replace
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.case import Case, Limits, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetGuestDebug, SetVcpuEvents
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import CORE_REGISTERS
from vcpu_scenario.language import loads
from vcpu_scenario.machine.emulated.cpu import wordhooks
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.machine.errors import KvmError, NotModelled
from vcpu_scenario.running.execute import execute
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.loop import run_case

from tests.guests import words

from .initialised import initialised

BASE = 0x4000_0000
RAM = Memslot(BASE, 1 << 20)


def run(case: Case, kernel: str = "6.12") -> Trace:
    machine = create(kernel)
    try:
        return run_case(machine, case)
    finally:
        machine.close()


def code(*words: int, **more: object) -> Case:
    data = struct.pack(f"<{len(words)}I", *words)
    limits = Limits(exits=4, instructions=100_000, seconds=60)
    case = {"loads": (Load(BASE, data),), "regs": (("pc", BASE),), "limits": limits, **more}
    return Case(slots=(RAM,), **case)  # type: ignore[arg-type]


# -- states that Unicorn does not run as the hardware would ----------------------------------------

AARCH32_USER = 0x10
ERET_TO_X1 = (
    w.msr(1, (3, 0, 4, 0, 0)),
    w.adr(2, 12),
    w.msr(2, (3, 0, 4, 0, 1)),
    w.ERET,
)


@pytest.mark.parametrize("debug", [0, 3])
def test_a_guest_that_goes_to_aarch32_is_not_run_any_further(debug: int) -> None:
    # 0xE3A00001 is `mov r0, #1` of A32, and no instruction of A64.
    guest = code(w.movz(1, AARCH32_USER), *ERET_TO_X1, 0xE3A00001, 0xE3A00001, 0xEAFFFFFE)
    if debug:
        guest = replace(guest, debug=GuestDebug(debug), limits=Limits(exits=20))
    trace = run(guest)
    assert trace.unmodelled is not None
    assert trace.unmodelled.what.startswith("AArch32 state")


@pytest.mark.parametrize("mode", [0x8, 0x9, 0xC, 0xD, 0x13, 0x1F, 0x2])
def test_an_illegal_exception_return_is_modelled(mode: int) -> None:
    vectors = BASE + 0x800
    vector = Load(vectors + 0x200, struct.pack("<I", 0xD4200000))
    guest = code(w.movz(1, mode), *ERET_TO_X1, w.b(0))
    guest = replace(
        guest,
        loads=(*guest.loads, vector),
        regs=(*guest.regs, ("vbar_el1", vectors)),
        debug=GuestDebug(abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_USE_SW_BP),
        observe=("esr_el1", "spsr_el1"),
    )
    seen = run(guest).exits[0].regs
    assert (seen["esr_el1"], seen["spsr_el1"] & 1 << 20) == (0x3A00_0000, 1 << 20)


def test_a_scenario_that_does_so_is_not_modelled_with_the_reason() -> None:
    words = ", ".join(hex(word) for word in (w.movz(1, 0x10), *ERET_TO_X1, 0xE3A00001, 0xEAFFFFFE))
    text = (
        f"title: t\nguest: {{words: [{words}]}}\nexpect: [{{exits: [{{any: {{exit: MMIO}}}}]}}]\n"
    )
    (case,) = loads(text, "t.vcpu.yaml").cases(["6.12"])
    result = execute(case, create)
    assert result.verdict == "not-modelled"
    assert result.reason.startswith("not modelled: AArch32 state")


@pytest.mark.parametrize("mode", [0x0, 0x4, 0x5])
def test_the_modes_of_el1_and_el0_can_be_set(mode: int) -> None:
    machine = initialised("6.12")
    machine.set_one_reg(CORE_REGISTERS["pstate"], 0x3C0 | mode)
    assert machine.get_one_reg(CORE_REGISTERS["pstate"]) == 0x3C0 | mode
    machine.close()


@pytest.mark.parametrize("mode", [0x1, 0x8, 0x9, 0xC, 0xD])
def test_modes_beyond_are_refused(mode: int) -> None:
    machine = initialised("6.12")
    with pytest.raises(KvmError) as refused:
        machine.set_one_reg(CORE_REGISTERS["pstate"], 0x3C0 | mode)
    assert refused.value.errno == EINVAL
    machine.close()


def test_aarch32_at_el0_is_not_modelled() -> None:
    machine = initialised("6.12")
    with pytest.raises(NotModelled, match="AArch32"):
        machine.set_one_reg(CORE_REGISTERS["pstate"], 0x10)
    machine.close()


# -- memory ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slot", "errno"),
    [
        (Memslot(BASE, 0x1000), EEXIST),
        (Memslot(BASE - 0x1000, 0x2000), EEXIST),
        (Memslot(BASE + RAM.size - 0x1000, 0x2000, readonly=True), EEXIST),
        (Memslot(0, 0), EINVAL),
        (Memslot(0, -0x1000), EINVAL),
        (Memslot(-0x1000, 0x2000), EINVAL),
        (Memslot(0, 0x1001), EINVAL),
        (Memslot(1, 0x1000), EINVAL),
        (Memslot((1 << 40) - 0x1000, 0x2000), EFAULT),
        (Memslot(1 << 63, 0x1000), EFAULT),
        (Memslot(0x1_0000_0000, 1 << 39), ENOMEM),
    ],
)
def test_a_slot_that_no_kernel_takes_is_refused(slot: Memslot, errno: int) -> None:
    trace = run(Case(slots=(RAM, slot)))
    assert (trace.ended, trace.errno) == ("refused", errno)


def test_slots_that_touch_are_two_slots() -> None:
    above = Memslot(BASE + RAM.size, 0x1000)
    below = Memslot(BASE - 0x1000, 0x1000, readonly=True)
    machine = create("6.12")
    for slot in (RAM, above, below):
        machine.memory.add(slot)
    machine.close()


# -- budgets -------------------------------------------------------------------------------------


def interrupted(trace: Trace) -> bool:
    return trace.exits[-1].errno == EINTR


def test_calls_that_hyp_answers_are_bounded() -> None:
    """Each is answered without an exit to the host, and could go on for ever."""
    workaround = w.mov(0, 0x8000_8000)
    assert interrupted(run(code(*workaround, w.hvc(), w.b(-12)), "4.18"))


def test_accesses_that_hyp_emulates_are_bounded() -> None:
    from vcpu_scenario.case import Gic

    guest = code(
        w.access(w.WORD, w.LOAD, 1, 0, 1),
        w.b(-4),
        gic=Gic(2, 0x0800_0000, cpu=0x0801_0000),
        regs=(("pc", BASE), ("x0", 0x0801_0000)),
    )
    assert interrupted(run(guest, "5.0-v2trap"))


def test_exceptions_and_exits_share_one_budget() -> None:
    """Each entry would have a budget of its own: a few exits, and the sum is without bound."""
    svc_loop = (w.svc(0),)
    guest = code(*svc_loop, *[w.NOP] * 0x7F, w.hvc(), w.ERET, regs=(("pc", BASE),))
    assert interrupted(run(guest))
    vectors = code(w.msr(0, (2, 0, 0, 1, 4)), w.udf(0), regs=(("pc", BASE), ("vbar_el1", BASE)))
    assert interrupted(run(vectors))


def test_a_pending_serror_that_stays_masked_is_bounded() -> None:
    guest = code(w.b(0), before=(SetVcpuEvents(serror=True),))
    assert interrupted(run(guest))


@pytest.mark.parametrize("byte", [0x0E, 0x0F, 0x4C, 0xD5])
def test_memory_full_of_what_could_be_simd_takes_no_hooks(byte: int) -> None:
    data = bytes([byte]) * (RAM.size - 0x1000)
    guest = code(w.b(0))
    machine = create("6.12")
    trace = run_case(
        machine,
        Case(
            slots=guest.slots,
            loads=(*guest.loads, Load(BASE + 0x1000, data)),
            regs=guest.regs,
            limits=guest.limits,
        ),
    )
    assert interrupted(trace)
    assert not machine._cpu._word_hooks._simd
    machine.close()


def test_scattered_simd_traps() -> None:
    (fadd,) = words("fadd d0, d1, d2")
    scattered = [w.NOP, fadd] * 4096
    vector = [w.NOP] * 0x80 + [w.b(0)]
    registers = (("pc", BASE + 4 * 8191), ("vbar_el1", BASE + 0x8000))
    trace = run(code(*scattered, *vector, regs=registers, observe=("esr_el1", "elr_el1")))
    assert trace.exits[-1].regs["esr_el1"] >> 26 == 7
    assert trace.exits[-1].regs["elr_el1"] == BASE + 4 * 8191


def test_hooks_of_simd_stay_few_where_much_of_it_traps() -> None:
    (fadd,) = words("fadd d0, d1, d2")
    count = wordhooks._MOST_SIMD + 100
    elr_el1 = (3, 0, 4, 0, 1)
    load = w.access(2, w.LOAD, 2, 1, 0)
    # Each traps to the vector, which goes on to the next one.
    vector = [w.mrs(0, elr_el1), w.add_immediate(0, 0, 4), w.msr(0, elr_el1), w.ERET]
    program = [*[w.NOP] * 0x80, *vector, *[w.NOP] * 0x37C, *[fadd] * count, load]
    registers = (("pc", BASE + 0x1000), ("vbar_el1", BASE), ("x1", 0x0900_0000))
    machine = create("6.12")
    trace = run_case(machine, code(*program, regs=registers, observe=("elr_el1",)))
    assert trace.exits[0].regs["elr_el1"] == BASE + 0x1000 + 4 * count
    assert 0 < len(machine._cpu._word_hooks._simd) <= wordhooks._MOST_SIMD
    machine.close()


def test_writing_nothing_is_nothing() -> None:
    machine = create("6.12")
    machine.memory.add(RAM)
    machine.memory.write(BASE, b"")
    machine.memory.write(BASE + RAM.size - 4, b"")
    machine.close()


def test_a_breakpoint_can_be_set_where_memory_reaches_the_end_of_the_address_space() -> None:
    """Once the last page is mapped there."""
    last = (1 << 40) - 0x1000
    enabled = abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_USE_HW
    guest = Case(
        slots=(Memslot(last, 0x1000),),
        loads=(Load(last, struct.pack("<II", w.access(w.WORD, w.LOAD, 1, 0, 0), w.NOP)),),
        regs=(("pc", last),),
        on=((0, (SetGuestDebug(GuestDebug(enabled, (last + 4,))),)),),
        limits=Limits(exits=2),
    )
    assert [exit_.exit for exit_ in run(guest).exits] == ["MMIO", "DEBUG"]
