"""QEMU's system registers, as 10.0 told them under 5.10, 6.12 and 7.2, and 7.2 under 6.12."""

from __future__ import annotations

import json
from typing import Final

import pytest
from msgspec.structs import replace
from vcpu_scenario.case import Case, SetRegister
from vcpu_scenario.debugger.dialect import OURS, STRICT
from vcpu_scenario.debugger.handlers import HANDLERS
from vcpu_scenario.debugger.history import History
from vcpu_scenario.debugger.registers import REGISTERS, files
from vcpu_scenario.debugger.stub import Stub
from vcpu_scenario.kvm.registers import id_of
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.vmm.session import Session
from vcpu_scenario.vmm.vmms.qemu_registers import FOLDER

from tests.debugger.guests import CASE, making
from tests.debugger.test_recorded import compared
from tests.debugger.test_stub import say
from tests.debugger.wire import Recorded
from tests.recorded.qemu_registers import description, names, sessions, table

COUNTER: Final = "CNTV_CVAL_EL0"
WITH_PMU: Final = sessions()[0].case
STOP: Final = (f"Z1,{0x4000_0014:x},4", "c")
"""At the guest's sixth instruction."""


def named(session: Recorded) -> str:
    return f"{session.vmm}-{session.kernel}"


def stub(
    vmm: str = "qemu", kernel: str = "6.12", case: Case = CASE, *, strict: bool = False
) -> Stub:
    made = Stub(History(making(vmm, kernel, case)), STRICT[vmm] if strict else OURS, HANDLERS)
    made.connected()
    return made


def packet(name: str, vmm: str = "qemu") -> str:
    """``p`` of the register of that name."""
    of_it = next(each for each in sessions() if each.vmm == vmm)
    return f"p{len(REGISTERS) + names(of_it).index(name):x}"


def counter(of: Session) -> int:
    return of.machine.get_one_reg(id_of("cntvct_el0"))


def value(to: Stub, name: str) -> int:
    return int.from_bytes(bytes.fromhex(say(to, packet(name))[0]), "little")


def test_the_table_is_of_what_was_told() -> None:
    kept = (FOLDER / "qemu_registers.json").read_text(encoding="utf-8")
    assert table() == json.loads(kept)


@pytest.mark.parametrize("session", sessions(), ids=named)
def test_the_description_is_qemus_to_the_letter(session: Recorded) -> None:
    found = Session(create(session.kernel), session.case, session.vmm)
    assert files(found.vmm)["system-registers.xml"] == description(session)
    assert 'href="system-registers.xml"' in files(found.vmm)["target.xml"]
    found.close()


@pytest.mark.parametrize("session", sessions(), ids=named)
def test_each_register_but_the_counter_holds_what_qemu_told(session: Recorded) -> None:
    asked = {sent for sent, told in session.packets if sent[0] == "p" and told != "E14"}
    assert len(asked) >= len(names(session)) == {"qemu": 162, "qemu-7.2": 152}[session.vmm]
    assert [found for found in compared(session) if found is not None] == []


def test_its_virtual_comparator_is_the_counter_as_it_was_at_the_stop() -> None:
    to = stub(case=WITH_PMU)
    say(to, *STOP)
    before = counter(to.target.session)
    shown = value(to, COUNTER)
    assert before < shown < counter(to.target.session)
    assert value(to, COUNTER) == shown


def test_a_look_at_the_counter_is_done_again_on_the_way_back() -> None:
    make = making(case=WITH_PMU)
    history = History(make)
    to = Stub(history, OURS, HANDLERS)
    to.connected()
    say(to, *STOP, packet(COUNTER), packet(COUNTER), "s")
    again = history.again(make)
    assert counter(again) == counter(history.session)
    again.close()


@pytest.mark.parametrize("name", ["PMCR_EL0", "PMCEID0_EL0", "PMINTENSET_EL1", "PMCNTENSET_EL0"])
def test_of_a_pmu_that_the_vcpu_lacks_nothing_is_known(name: str) -> None:
    assert say(stub(), packet(name)) == ["x" * 16]
    assert say(stub(strict=True), packet(name)) == ["E14"]


def test_a_write_is_lost_without_a_word() -> None:
    to = stub()
    write = packet("TTBR0_EL1").replace("p", "P")
    assert say(to, "g", f"{write}=1122334455667788")[1] == "OK"
    assert value(to, "TTBR0_EL1") == 0x1DE7_EC7E_DBAD_C0DE


def test_what_the_guest_wrote_is_shown_and_a_constant_is_not() -> None:
    shown = replace(CASE, before=(SetRegister("vbar_el1", 0x8800), SetRegister("afsr0_el1", 7)))
    to = stub(case=shown)
    assert (value(to, "VBAR"), value(to, "AFSR0_EL1")) == (0x8800, 0)


def test_after_an_interrupt_one_is_not_known_until_all_are_read() -> None:
    to = stub()
    assert value(to, "VBAR") == 0
    assert say(to, "c")[0].startswith("T02")
    assert say(to, packet("ESR_EL1")) == ["x" * 16]
    assert value(to, "VBAR") == 0
    say(to, "g")
    assert value(to, "ESR_EL1") == 0x1DE7_EC7E_DBAD_C0DE


@pytest.mark.parametrize(
    ("kernel", "enabled"), [("5.10", 0x1DE7_EC7E_DBAD_C0DE), ("6.12", 0), ("7.2", 0x8000_001E)]
)
def test_what_it_writes_back_switches_counters_off_where_the_kernel_clears(
    kernel: str, enabled: int
) -> None:
    to = stub(kernel=kernel, case=WITH_PMU)
    say(to, *STOP)
    machine = to.target.session.machine
    assert machine.get_one_reg(id_of("pmintenset_el1")) == enabled


def test_another_vmm_shows_none() -> None:
    to = stub("plain")
    assert say(to, "p44", "P44=1122334455667788") == ["E14", "E14"]
    assert "system-registers.xml" not in files(to.target.session.vmm)
    assert say(to, "qXfer:features:read:system-registers.xml:0,100") == ["E00"]
