"""What the monitor says of a stop."""

from __future__ import annotations

import pytest
from vcpu_scenario.debugger.history import History
from vcpu_scenario.debugger.monitor import Monitor
from vcpu_scenario.language import loads
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.vmm.session import Session, never

from tests.guests import listed

LOAD = f"""\
title: a load, two steps from the beginning
guest: {{words: {listed("mov x0, #0x09000000; ldr w1, [x0]; add x2, x2, #1; b .")}}}
devices: {{dev: {{handled_by: userspace, at: 0x09000000}}}}
expect: [{{exits: [mmio: {{read: dev}}]}}]
"""
LACKS = "not yet, but from 5.11 on: pc_adjusted_at_entry: "


def rules_at_the_second_step(text: str, kernel: str) -> str:
    (case,) = loads(text, "t.vcpu.yaml").cases([kernel])
    history = History(lambda: Session(create(kernel), case.case, "plain"))
    try:
        for _ in range(2):
            history.resume(step=True, interrupted=never)
        return Monitor(history, case)("rules")
    finally:
        history.close()


@pytest.mark.parametrize(("kernel", "said"), [("5.10", LACKS), ("5.11", "pc_adjusted_at_entry: ")])
def test_a_skip_names_the_rule_that_makes_the_stop_or_that_the_kernel_lacks(
    kernel: str, said: str
) -> None:
    lines = rules_at_the_second_step(LOAD, kernel).splitlines()
    assert any(line.startswith(said) for line in lines), lines


def test_a_stop_that_every_later_kernel_makes_lacks_nothing() -> None:
    assert "not yet" not in rules_at_the_second_step(LOAD, "5.11")


def test_no_rule_is_named_without_which_the_stop_is_not_modelled() -> None:
    """What a VMM reads of a vGIC without groups of interrupts was never seen."""
    text = LOAD.replace("expect:", f"before: {GIC}\nexpect:")
    assert "vgic_groups_writable" not in rules_at_the_second_step(text, "6.12")


GIC = """
  - create_vgic: vgic-v3
  - set_vgic_attr: {group: addr, attr: v3_dist, value: 0x08000000}
  - set_vgic_attr: {group: addr, attr: v3_redist, value: 0x080a0000}
  - set_vgic_attr: {group: ctrl, attr: init}
  - has_vgic_attr: {group: dist_regs, attr: GICD_CTLR}"""


def test_of_several_vcpus_nobody_says_what_ran_unseen() -> None:
    (case,) = loads(f"vcpus: 2\n{LOAD}", "t.vcpu.yaml").cases(["6.12"])
    history = History(lambda: Session(create("6.12"), case.case, "plain"))
    history.resume(step=True, interrupted=never)
    monitor = Monitor(history, case)
    assert monitor("skipped").startswith("not modelled: ")
    assert "step" in monitor("ladder")
    history.close()
