"""An exit is of vCPU 0 unless it says otherwise, whoever made the others."""

from __future__ import annotations

import pytest
from vcpu_scenario.language import loads
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.running.execute import execute

from tests.guests import words

STORES = words("mov x10, #0x09000000; str w1, [x10]; str w1, [x10, #4]")
TEXT = """\
title: t
guest: {words: %s}
devices: {dev: {handled_by: userspace, at: 0x09000000}}
expect:
  - exits:
      - mmio: {write: dev, then: [create_vcpu: 1, %s]}
      - %s
"""
OTHER = "run_vcpu: 1, vcpu_init: [psci_0_2], set: {pc: 0x40000000}"


@pytest.mark.parametrize(
    ("then", "last", "verdict"),
    [
        (OTHER, "mmio: {write: dev, vcpu: 1}", "pass"),
        (OTHER, "mmio: {write: dev, vcpu: any}", "pass"),
        (OTHER, "any: {exit: MMIO}", "pass"),
        (OTHER, "mmio: {write: dev}", "fail"),
        (OTHER, "mmio: {write: dev, vcpu: 0}", "fail"),
        (OTHER, "any: {exit: MMIO, vcpu: 0}", "fail"),
        ("run_vcpu: 0", "mmio: {write: dev+4}", "pass"),
        (f"{OTHER}, run_vcpu: 0", "mmio: {write: dev+4, vcpu: 1}", "fail"),
    ],
)
def test_an_exit_of_a_vcpu_that_was_created_says_so(then: str, last: str, verdict: str) -> None:
    (case,) = loads(TEXT % (list(STORES), then, last), "t.vcpu.yaml").cases(["6.12"])
    result = execute(case, create)
    assert result.verdict == verdict
    wrong = [one.field for one in result.mismatches]
    assert wrong == ([] if verdict == "pass" else ["vcpu"])


@pytest.mark.parametrize(
    ("of", "verdict"),
    [("", "pass"), (", vcpu: 0", "pass"), (", vcpu: 1", "fail"), (", vcpu: any", "fail")],
)
def test_never_is_of_vcpu_0_as_well(of: str, verdict: str) -> None:
    rest = f"any: {{repeat: {{least: 0}}, vcpu: any}}\n    never: [mmio: {{write: dev+4{of}}}]"
    text = TEXT % (list(STORES), OTHER, rest) + "limits: {exits: 3}\n"
    (case,) = loads(text, "t.vcpu.yaml").cases(["6.12"])
    assert execute(case, create).verdict == verdict


SETS = words(
    "mov x5, #1; mov x10, #0x09000000; str w1, [x10]; str w1, [x10, #4]; str w1, [x10, #8]"
)
BACK = """\
title: t
guest: {words: %s}
devices: {dev: {handled_by: userspace, at: 0x09000000}}
limits: {exits: 4}
%s
expect:
  - exits:
      - mmio: {write: dev, regs: {x5: 1}, then: [create_vcpu: 1, run_vcpu: 1, vcpu_init: [psci_0_2],
          set: {pc: 0x40000004}]}
      - mmio: {write: dev, vcpu: 1, regs: {x5: 0}, then: [run_vcpu: 0]}
      - mmio: {write: dev+4%s}
      - mmio: {write: dev+8}
    %s
"""
AGAIN = "{mmio: {write: dev+4, regs: {x5: VALUE}}}"


@pytest.mark.parametrize(
    ("on", "regs", "never", "its_own"),
    [
        ("", ", regs: {x5: VALUE}", "", "pass"),
        (f"on: [{{first: {AGAIN}, then: [get: {{x5: 1}}]}}]", "", "", "pass"),
        ("", "", f"never: [{AGAIN}]", "fail"),
    ],
)
def test_observed_registers_are_those_of_the_exits_own_vcpu(
    on: str, regs: str, never: str, its_own: str
) -> None:
    """vCPU 1 has 0 in the register, and is the one that was seen before."""
    text = BACK % (list(SETS), on, regs, never)
    other = "pass" if its_own == "fail" else "fail"
    for value, verdict in ((1, its_own), (0, other)):
        (case,) = loads(text.replace("VALUE", str(value)), "t.vcpu.yaml").cases(["6.12"])
        assert execute(case, create).verdict == verdict
