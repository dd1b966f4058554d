"""Nothing we start outlives us."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from vcpu_scenario.machine.real.lab.process import bound_to_us

ROOT = Path(__file__).parents[2]

_PARENT = """
import subprocess, sys, time
from vcpu_scenario.machine.real.lab.process import bound_to_us
child = subprocess.Popen(bound_to_us(["/bin/sleep", "600"]))
print(child.pid, flush=True)
time.sleep(600)
"""


def test_a_program_ends_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        watched = os.pidfd_open(child)
        parent.kill()
    # A process that ended makes its pidfd readable; a sleep of 600 s would not in this time.
    ended, _, _ = select.select([watched], [], [], 30)
    os.close(watched)
    assert ended


def test_the_program_is_run_as_given_and_its_status_kept() -> None:
    done = subprocess.run(bound_to_us(["/bin/sh", "-c", "exit 7"]))
    assert done.returncode == 7


def test_niceness_is_added() -> None:
    asked = bound_to_us(["/usr/bin/env", "nice"], nice=3)
    found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert int(found) == min(os.nice(0) + 3, 19)


def test_a_signal_still_reaches_it() -> None:
    with subprocess.Popen(bound_to_us(["/bin/sleep", "600"])) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) != 0
