"""Each VMM's debugger is told on a real kernel what it is told on the emulated machine.

Needs what ``test_real_kernels`` needs.
"""

from __future__ import annotations

import pytest
from vcpu_scenario.case import Case
from vcpu_scenario.course import Course, Steps
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.machine.real.lab import Lab, LabOptions
from vcpu_scenario.vmm.stepping import step_through
from vcpu_scenario.vmm.vmms import VMMS

from tests.debugger.guests import CASE

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("vmm", VMMS)
def test_an_access_that_the_vmm_emulates_is_told_alike(lab: Lab, vmm: str) -> None:
    assert told(lab.step(Steps(CASE, vmm))) == told(emulated(lab, CASE, vmm))


def emulated(lab: Lab, case: Case, vmm: str) -> Course:
    machine = create(f"{lab.kernel}+{LabOptions().cpu}")
    try:
        return step_through(machine, case, vmm)
    finally:
        machine.close()


def told(found: object) -> object:
    """All that the debugger knows."""
    assert isinstance(found, Course), found
    stops = [(each.why, each.pc, each.regs) for each in found.landings]
    return stops, found.end, found.words, found.unset
