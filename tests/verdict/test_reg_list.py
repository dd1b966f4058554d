"""What KVM_GET_REG_LIST gives is held to what is expected of it."""

from __future__ import annotations

from vcpu_scenario.language.loader import loads
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.verdict.guest import Guest
from vcpu_scenario.verdict.judge import judge
from vcpu_scenario.vmm.loop import run_case

TEXT = """\
title: a list
guest: {words: [0xd4200000]}
debug: {software_breakpoints: true}
limits: {exits: 1}
expect:
  - final: {reg_list: %s}
"""


def told(expected: str, kernel: str) -> list[str]:
    (case,) = loads(TEXT % expected, "made.vcpu.yaml").cases([kernel])
    assert case.expectation is not None
    machine = create(kernel)
    trace = run_case(machine, case.case)
    machine.close()
    return [found.message for found in judge(case.expectation, trace, (), Guest(case.case, {}))]


def test_a_list_that_is_as_expected_has_no_difference() -> None:
    assert told("{has: [x0, v31, psci_version], lacks: [std_bmap]}", "5.10") == []
    assert told("{has: [std_bmap]}", "6.12") == []


def test_each_register_that_is_missing_or_too_many_is_told_with_its_id() -> None:
    assert told("{has: [std_bmap], lacks: [x0]}", "5.10") == [
        "register std_bmap (0x6030000000160000): expected in KVM_GET_REG_LIST, found not there",
        "register x0 (0x6030000000100000): expected not there, found in KVM_GET_REG_LIST",
    ]


def test_how_many_registers_there_are_can_be_expected() -> None:
    (message,) = told("{count: 1}", "6.12")
    assert message.startswith("registers in KVM_GET_REG_LIST: expected 1, found ")
