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
        ("run_vcpu: 0", "mmio: {write: dev+4, vcpu: 1}", "fail"),
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
