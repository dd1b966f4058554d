"""What a debugger is told crosses to a lab and back as it is."""

from __future__ import annotations

import pytest
from vcpu_scenario.course import Course, End, Steps
from vcpu_scenario.interchange.courses import dump_course, dump_steps, load_course, load_steps
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.vmm.stepping import step_through
from vcpu_scenario.vmm.vmms import VMMS

from tests.debugger.guests import CASE


@pytest.mark.parametrize("vmm", VMMS)
def test_a_course_comes_back_as_it_was(vmm: str) -> None:
    steps = Steps(CASE, vmm)
    assert load_steps(dump_steps(steps)) == steps
    machine = create("5.10")
    course = step_through(machine, CASE, vmm)
    machine.close()
    back = load_course(dump_course(course))
    assert back == course
    assert back.trace.entries == course.trace.entries


def test_one_without_a_stop_comes_back() -> None:
    course = Course((), End.REFUSED, "cap x: errno 22", unset=((2, 8, 4),))
    assert load_course(dump_course(course)) == course


@pytest.mark.parametrize("line", ["[]", "{}", "1", '{"vmm": "qemu", "case": 1}', "no"])
def test_what_is_none_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        load_course(line)
    with pytest.raises(ValueError, match=r"."):
        load_steps(line)
