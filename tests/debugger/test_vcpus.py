"""Several vCPUs under one debugger: each is a thread."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from vcpu_scenario.case import Case, Load
from vcpu_scenario.debugger.dialect import OURS, STRICT
from vcpu_scenario.debugger.handlers import HANDLERS
from vcpu_scenario.debugger.history import History
from vcpu_scenario.debugger.packets import framed
from vcpu_scenario.debugger.stub import Stub
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.vmm.vmms.terms import PC

from tests.debugger.guests import AT, CELL, PAIR, making
from tests.debugger.test_stub import say
from tests.guests import binary

ON, AFTER, SPIN, SECOND, STORE, DONE = (AT + 4 * n for n in (5, 6, 7, 8, 11, 12))


def stub(vmm: str = "qemu", *, strict: bool = False, case: Case = PAIR) -> Stub:
    made = Stub(History(making(vmm, case=case)), STRICT[vmm] if strict else OURS, HANDLERS)
    made.connected()
    return made


def pcs(of: Stub) -> list[int]:
    """By ``g``: of a vCPU that did not stop by itself QEMU shows a single register as it was."""
    found = (bytes.fromhex(say(of, f"Hg{n}", "g")[1]) for n in (1, 2))
    return [int.from_bytes(data[8 * PC : 8 * PC + 8], "little") for data in found]


def test_each_vcpu_is_a_thread_with_its_state() -> None:
    to = stub()
    assert say(to, "qfThreadInfo", "qsThreadInfo", "qsThreadInfo") == ["m1", "m2", "l"]
    words = [bytes.fromhex(said) for said in say(to, "qThreadExtraInfo,1", "qThreadExtraInfo,2")]
    assert words == [b"CPU#0 [running]", b"CPU#1 [halted ]"]
    assert say(to, "T2", "T3", "Hg2", "qC", "Hg3") == ["OK", "E22", "OK", "QC2", "E22"]
    say(to, f"Z0,{SECOND:x},4", "c")
    assert bytes.fromhex(say(to, "qThreadExtraInfo,2")[0]) == b"CPU#1 [running]"


@pytest.mark.parametrize("vmm", ["plain", "qemu", "qemu-7.2", "qemu-2017"])
@pytest.mark.parametrize("kind", [0, 1])
def test_a_breakpoint_is_told_of_the_vcpu_that_hits_it(vmm: str, kind: int) -> None:
    to = stub(vmm)
    assert say(to, f"Z{kind},{SECOND:x},4", "c")[1] == "T05thread:2;"
    assert to.target.session.pc == SECOND
    assert pcs(to) == [SPIN, SECOND]


def test_a_watchpoint_is_told_of_the_vcpu_that_hits_it() -> None:
    assert say(stub(), f"Z2,{CELL:x},8", "c")[1] == f"T05thread:2;watch:{CELL:x};"


def test_one_steps_while_the_other_stays_or_goes() -> None:
    to = stub()
    say(to, f"Z1,{SECOND:x},4", "c", f"z1,{SECOND:x},4")
    assert say(to, "vCont;s:2") == ["T05thread:2;"]
    assert pcs(to) == [SPIN, SECOND + 4]
    assert say(to, "vCont;s:1") == ["T05thread:1;"]
    assert pcs(to) == [SPIN, SECOND + 4]
    assert say(to, "vCont;s:1;c:2") == ["T05thread:1;"]
    assert pcs(to) == [SPIN, DONE]


def test_s_is_of_the_vcpu_that_stopped_or_was_chosen() -> None:
    to = stub()
    say(to, f"Z1,{SECOND:x},4", "c", f"z1,{SECOND:x},4")
    assert say(to, "s") == ["T05thread:2;"]
    assert pcs(to)[1] == SECOND + 4
    assert say(to, "Hc1", "s")[1] == "T05thread:1;"
    assert pcs(to) == [SPIN, DONE]


def test_what_is_written_is_the_selected_vcpus() -> None:
    to = stub()
    say(to, f"Z1,{SECOND:x},4", "c", f"z1,{SECOND:x},4")
    assert say(to, "Hg1", "P5=0100000000000000", "Hg2", "P5=0900000000000000", "vCont;s:2")[4]
    assert [say(to, f"Hg{n}", "p5")[1] for n in (1, 2)] == [f"{n:02x}{'00' * 7}" for n in (1, 10)]


@pytest.mark.parametrize("vmm", ["plain", "qemu"])
def test_one_that_is_off_does_not_come_back_from_a_step(vmm: str) -> None:
    assert say(stub(vmm), "vCont;s:2")[0] == "T02thread:2;"


def test_two_steps_at_once_are_both_made_and_one_is_told_of() -> None:
    to = stub("plain")
    say(to, f"Z1,{SECOND:x},4", "c", f"z1,{SECOND:x},4", "Hg1", f"P20={_little(ON)}")
    assert say(to, "vCont;s:1;s:2") == ["T05thread:2;"]
    assert pcs(to) == [AFTER, SECOND + 4]


def test_qemu_goes_on_to_step_a_vcpu_whose_step_was_not_told_of() -> None:
    """``gdb_vm_state_change`` switches the step off of the one that it tells of alone."""
    to = stub("qemu-7.2", strict=True)
    assert say(to, "vCont;s:2")[0] == "T02thread:01;"
    assert say(to, "c") == ["T05thread:02;"]
    assert pcs(to) == [SPIN, SECOND + 4]


def test_a_c_is_told_of_the_last_that_was_resumed_but_in_7_2() -> None:
    assert say(stub("qemu", strict=True), "vCont;c")[0] == "T02thread:02;"
    assert say(stub("qemu-7.2", strict=True), "vCont;c")[0] == "T02thread:01;"
    assert say(stub("qemu-7.2", strict=True), "Hc2", "vCont;c")[1] == "T02thread:02;"


@pytest.mark.parametrize("vmm", ["plain", "qemu"])
def test_all_the_way_back_undoes_what_both_did(vmm: str) -> None:
    to = stub(vmm)
    there = [(say(to, "?")[0], pcs(to))]
    say(to, f"Z1,{AFTER:x},4", f"Z1,{STORE:x},4")
    resumes = ("vCont;c", "vCont;s:1", "vCont;s:1;c:2", "vCont;s:2", "vCont;s:1;s:2")
    there += [(say(to, resume)[0], pcs(to)) for resume in resumes]
    for _, before in reversed(there[:-1]):
        say(to, "bs")
        assert pcs(to) == before
    assert "replaylog:begin" in say(to, "bs")[0]


def test_a_vcpu_that_never_leaves_its_loop_of_exits_does_not_hold_the_other_up() -> None:
    loop = binary("""
        mov x0, #3
        movk x0, #0xc400, lsl #16
        mov x1, #1
        adr x2, second
        mov x9, #0x09000000
        hvc #0
        poll: ldr w10, [x9]
        b poll
        second: add x5, x5, #1
        done: b done
    """)
    to = stub(case=replace(PAIR, loads=(Load(AT, loop),)))
    assert say(to, f"Z1,{AT + 36:x},4", "c")[1] == "T05thread:2;"
    assert pcs(to)[0] in (AT + 24, AT + 28)


def test_crosvm_takes_one_vcpu() -> None:
    with pytest.raises(Unsupported, match="crosvm"):
        making("crosvm", case=PAIR)()


BOTH = replace(
    PAIR,
    loads=(
        Load(
            AT,
            binary("""
                mov x0, #3
                movk x0, #0xc400, lsl #16
                mov x1, #1
                adr x2, second
                hvc #0
                first: add x4, x4, #1
                b first
                second: add x5, x5, #1
                add x6, x6, #1
                b second
            """),
        ),
    ),
)
"""Both go round without an exit, from instructions 5 and 7 on."""
HIGH = 0xFFFF_FF80_0000_0000
FIRST, OTHER = (AT + 4 * n for n in (5, 7))


def both(vmm: str, *, strict: bool = True) -> Stub:
    """The second vCPU runs, and the first has stopped at its loop after steps."""
    to = stub(vmm, strict=strict, case=BOTH)
    for _ in range(5):
        say(to, "s" if vmm == "kvmtool" else "vCont;s:1;c")
    assert to.target.session.pc == FIRST
    return to


def test_firecracker_stops_one_and_lets_the_others_go_on() -> None:
    to = both("firecracker", strict=False)
    assert say(to, "vCont;s:1;c") == ["T05thread:1;"]
    words = "E.Firecracker waits for vCPU 1, which is in KVM_RUN"
    assert say(to, "Hg2", "g", f"m{HIGH:x},4", "Hg1", "p20") == [
        "OK",
        words,
        words,
        "OK",
        _little(FIRST + 4),
    ]
    assert say(to, "vCont;c") == ["T02thread:1;"]


def test_firecrackers_stub_does_not_come_back_from_a_vcpu_that_runs() -> None:
    assert say(both("firecracker"), "Hg2", "g", "Hg1", "g", "?") == ["OK", "", "", "", ""]


def test_firecracker_asks_nothing_of_a_vcpu_that_runs() -> None:
    """``update_vcpu_kvm_debug``; a breakpoint in memory is everyone's."""
    to = both("firecracker", strict=False)
    assert say(to, "vCont;s:2;c", looks=5) == ["T02thread:1;"]
    session = to.target.session
    session.memory.write(OTHER + 4, bytes.fromhex("000020d4"))
    assert say(to, "vCont;s:2;c") == ["T05thread:2;"]  # a step it is to Firecracker
    assert session.pc == OTHER + 4


def test_firecracker_tells_of_one_that_stopped_meanwhile_as_it_goes_on() -> None:
    to = both("firecracker", strict=False)
    to.target.session.memory.write(OTHER + 4, bytes.fromhex("000020d4"))
    assert say(to, "vCont;s:1;c", "vCont;s:1;s:2") == ["T05thread:1;", "T05thread:2;"]
    assert pcs(to)[1] == OTHER + 4


def test_cloud_hypervisor_does_not_say_which_vcpu_stepped() -> None:
    to = both("cloud-hypervisor")
    assert say(to, "vCont;s:2;c") == ["S05"]
    assert OTHER <= to.target.session.pc < OTHER + 12


def test_cloud_hypervisor_has_the_breakpoints_of_the_first_vcpu_alone() -> None:
    to = both("cloud-hypervisor")
    assert say(to, f"Z1,{OTHER:x},4", "vCont;c", looks=5) == ["OK", "S02"]
    assert say(to, f"Z1,{FIRST:x},4", "vCont;c") == ["OK", "T05thread:01;hwbreak:;"]


def test_cloud_hypervisor_never_switches_the_step_of_another_vcpu_off() -> None:
    to = both("cloud-hypervisor")
    say(to, "vCont;s:2;c")
    assert say(to, "vCont;c", "vCont;c") == ["T05thread:02;hwbreak:;"] * 2


@pytest.mark.parametrize("case", [PAIR, replace(PAIR, vcpus=1)])
def test_cloud_hypervisors_stub_ends_where_one_is_to_go_without_the_others(case: Case) -> None:
    """``MissingMultiThreadSchedulerLocking``: so it does at gdb's way over a breakpoint."""
    to = stub("cloud-hypervisor", strict=True, case=case)
    assert say(to, "vCont;s:1") == [""]
    assert to.ended
    said = stub("cloud-hypervisor", case=case).receive(framed(b"vCont;s:1"))
    assert said.endswith(framed(b"W01"))
    assert b"$O" in said


def test_kvmtool_steps_and_shows_the_vcpu_that_stopped_whatever_is_asked() -> None:
    to = both("kvmtool")
    assert say(to, "Hg2", "p20", "Hc2", "s", "Hg2", "p20") == [
        "OK",
        _little(FIRST),
        "OK",
        "T05thread:1;",
        "OK",
        _little(FIRST + 4),
    ]
    assert say(to, "c", "Hg2", looks=5) == ["T05thread:1;", "OK"]  # a ^C
    assert OTHER <= to.target.session.pc < OTHER + 12


def test_kvmtool_tells_of_the_vcpu_that_stopped() -> None:
    to = both("kvmtool")
    assert say(to, f"Z1,{OTHER:x},4", "c", "s") == ["OK", "T05thread:2;", "T05thread:2;"]


def _little(value: int) -> str:
    return value.to_bytes(8, "little").hex()
