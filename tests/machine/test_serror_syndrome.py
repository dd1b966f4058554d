"""KVM_SET_VCPU_EVENTS with a syndrome, on a CPU that has RAS and on one that has not: what Debian's
6.12 gave on a Cortex-A76."""

from __future__ import annotations

from errno import EINVAL

import pytest
from vcpu_scenario.case import Attempt, Case, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetVcpuEvents
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.loop import run_case

from tests.guests import words

BASE = 0x4000_0000
SERROR = BASE + 0x800 + 0x380
BREAKS = GuestDebug(0x1_0001)
UNMASK = words("msr daifclr, #4; nop; nop; brk #1")
HANDLER = words("mrs x1, esr_el1; brk #2")


def code(*instructions: int) -> bytes:
    return b"".join(word.to_bytes(4, "little") for word in instructions)


def taken(*events: SetVcpuEvents | Attempt, cpu: str, kernel: str = "6.12") -> Trace:
    case = Case(
        slots=(Memslot(BASE, 0x2000),),
        loads=(Load(BASE, code(*UNMASK)), Load(SERROR, code(*HANDLER))),
        regs=(("pc", BASE), ("vbar_el1", BASE + 0x800)),
        debug=BREAKS,
        before=events,
        observe=("x1",),
        skip_brk="never",
    )
    machine = create(kernel if cpu == "cortex-a57" else f"{kernel}+{cpu}")
    try:
        return run_case(machine, case)
    finally:
        machine.close()


@pytest.mark.parametrize(
    ("esr", "syndrome"), [(None, 0xBF00_0000), (0x1234, 0xBE00_1234), (0x100_1234, 0xBF00_1234)]
)
def test_a_cpu_with_ras_takes_an_serror_with_its_syndrome(esr: int | None, syndrome: int) -> None:
    trace = taken(SetVcpuEvents(serror=True, serror_esr=esr), cpu="cortex-a76")
    assert trace.exits[0].pc == SERROR + 4
    assert trace.exits[0].regs["x1"] == syndrome


def test_a_syndrome_has_no_bits_beyond_the_iss() -> None:
    wide = Attempt(SetVcpuEvents(serror=True, serror_esr=1 << 25), EINVAL)
    assert taken(wide, cpu="cortex-a76").exits[0].pc == BASE + 12


def test_a_cpu_without_ras_has_no_syndrome() -> None:
    refused = Attempt(SetVcpuEvents(serror=True, serror_esr=0x1234), EINVAL)
    assert taken(refused, cpu="cortex-a57").exits[0].pc == BASE + 12
    trace = taken(SetVcpuEvents(serror=True), cpu="cortex-a57")
    assert trace.exits[0].regs["x1"] == 0xBE00_0000
