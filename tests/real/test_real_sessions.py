"""A VMM of ours with QEMU's personality, on a real kernel, tells its debugger what QEMU told it.

Needs what ``test_real_kernels`` needs. All sessions hold; these few have what a personality does:
the run under immediate_exit, and what the debugger writes in between. None of them loses its guest:
one that takes exceptions without end can keep the lab's QEMU from its timers on a busy machine.
"""

from __future__ import annotations

import pytest
from vcpu_scenario.case import Case
from vcpu_scenario.machine.real.lab import Lab
from vcpu_scenario.trace import Trace

from tests.vmm.sessions import play, sessions
from tests.vmm.test_sessions import differences

pytestmark = pytest.mark.slow

CHOSEN = [("k", "hwstart"), ("g", "writepc"), ("g", "repc")]


@pytest.mark.parametrize(("guest", "name"), CHOSEN)
def test_a_session_is_as_it_was_recorded(lab: Lab, guest: str, name: str) -> None:
    def run(kernel: str, case: Case) -> Trace:
        found = lab.run(case)
        assert isinstance(found, Trace), found
        return found

    played = [
        (resume.number, differences(session, resume))
        for session in sessions("qemu-steps")
        if (session.kernel, session.vmm) == (lab.kernel, "qemu-2017")
        and (session.guest, session.name) == (guest, name)
        for resume in play(session, run)
    ]
    assert played
    assert [each for each in played if each[1]] == []
