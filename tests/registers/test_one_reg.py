"""KVM_GET_REG_LIST, KVM_GET_ONE_REG and KVM_SET_ONE_REG: as on a real kernel, or told by name.

Held to ``one-reg.json.xz``, Debian's 5.10.223, 6.1.192, 6.12.118, 6.16.12, 6.17.13 and 7.2.13
(QEMU 7.2, Cortex-A57): each register of a vCPU in five situations, some 25,000 writes a kernel.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from vcpu_scenario.kernels.table import Kernel, with_rules
from vcpu_scenario.kernels.table import kernel as known
from vcpu_scenario.machine.emulated.machine import EmulatedMachine, create
from vcpu_scenario.machine.errors import KvmError, NotModelled
from vcpu_scenario.running.causes import run_as
from vcpu_scenario.survey import Answer, GetRegister, ListRegisters, PutRegister, Survey
from vcpu_scenario.vmm import surveyor

from tests.machine.corners import corners
from tests.machine.test_corners import CPU, without_wording
from tests.registers.onereg import SITUATIONS, Situation
from tests.registers.recorded import recorded
from tests.registers.surveys import Found, differences
from tests.scenarios.test_every_rule_is_held import HELD_BY_SWEEPS

TOLD_MOST = 3
"""A timer that is armed, where there are two; PSTATE.UAO and its like of a Cortex-A76."""


class Vcpu:
    """The emulated vCPU of a situation, made anew where it came to what is not modelled."""

    def __init__(self, kernel: Kernel, situation: Situation) -> None:
        self._kernel, self._situation = kernel, situation
        self.machine = self._made()
        self.told = 0

    def _made(self) -> EmulatedMachine:
        machine = EmulatedMachine(self._kernel)
        surveyor.do(machine, self._situation.survey(()))
        return machine

    def value(self, reg: int) -> Answer:
        return surveyor.answer(self.machine, GetRegister(reg), self._situation.case().limits)

    def written(self, reg: int, value: int, held: int) -> Answer | None:
        """What came of it, None where it is told; the register is as before."""
        limits = self._situation.case().limits
        try:
            put = surveyor.answer(self.machine, PutRegister(reg, value), limits)
        except NotModelled:
            self.machine.close()
            self.machine, self.told = self._made(), self.told + 1
            return None
        got = self.value(reg)
        surveyor.answer(self.machine, PutRegister(reg, held), limits)
        return got if put == 0 else put


def differing(kernel: Kernel, situation: Situation, rows: Found) -> tuple[list[str], int]:
    """How the machine differs from what was recorded, and how often it told."""
    vcpu = Vcpu(kernel, situation)
    found: dict[int, tuple[int, dict[int, Answer]]] = {}
    for reg in vcpu.machine.reg_list():
        if reg not in rows:
            found[reg] = 0, {}
            continue
        held, outcomes = rows[reg]
        value = vcpu.value(reg)
        assert isinstance(value, int)
        put = {other: vcpu.written(reg, other, held) for other in outcomes}
        found[reg] = (
            value,
            {other: outcome for other, outcome in put.items() if outcome is not None},
        )
    vcpu.machine.close()
    return list(differences(found, rows)), vcpu.told


@pytest.mark.slow
@pytest.mark.parametrize("kernel", sorted(recorded()))
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_each_register_is_as_on_the_kernel_or_told(situation: Situation, kernel: str) -> None:
    found, told = differing(known(kernel), situation, recorded()[kernel][situation.name])
    assert found == []
    assert told <= TOLD_MOST


@pytest.mark.slow
@pytest.mark.parametrize("rule", sorted(HELD_BY_SWEEPS))
def test_a_rule_that_no_scenario_holds_is_held_by_what_was_recorded(rule: str) -> None:
    """Taken away from a kernel that has it, or given to one that has not, it makes a difference."""
    assert any(_in_corners(rule)) or any(_in_registers(rule))


def _turned(kernel: str, rule: str) -> Kernel:
    return with_rules(kernel, known(kernel).rules ^ {rule})


def _in_registers(rule: str) -> Iterator[bool]:
    for kernel in sorted(recorded()):
        for situation in SITUATIONS:
            rows = recorded()[kernel][situation.name]
            yield bool(differing(_turned(kernel, rule), situation, rows)[0])


def _in_corners(rule: str) -> Iterator[bool]:
    for corner in corners().values():
        for kernel in corner.traces.keys() - CPU.keys():
            trace = corner.traces[kernel]
            found = run_as(_turned(kernel, rule), corner.case)
            yield without_wording(found) != without_wording(trace)


def test_a_register_that_the_vcpu_has_not_is_enoent() -> None:
    machine = create("6.12")
    answer = surveyor.do(
        machine, Survey(SITUATIONS[0].case(), (GetRegister(0x6030_0000_0013_C780),))
    )
    assert answer.given == (-2,)
    machine.close()


def test_the_list_is_what_can_be_read() -> None:
    machine = create("7.2")
    (listed,) = surveyor.do(machine, Survey(SITUATIONS[0].case(), (ListRegisters(),))).given
    assert isinstance(listed, tuple)
    for reg in listed:
        try:
            machine.get_one_reg(reg)
        except KvmError:
            pytest.fail(f"{reg:#x} is listed and cannot be read")
    machine.close()
