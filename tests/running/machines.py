"""Machines that go wrong, in a module that workers can import."""

from __future__ import annotations

import os
import time
from pathlib import Path

from vcpu_scenario.machine.emulated.machine import EmulatedMachine, create

DEADLY = "5.10"
"""The kernel whose machine takes its process along."""

FLAG = "VCPU_TEST_FLAG"


def deadly(kernel: str) -> EmulatedMachine:
    if kernel == DEADLY:
        os._exit(3)
    return create(kernel)


def stuck(kernel: str) -> EmulatedMachine:
    if kernel == DEADLY:
        time.sleep(3600)
    return create(kernel)


def deadly_once(kernel: str) -> EmulatedMachine:
    """Takes its process along the first time, of all processes that share the flag's file."""
    if kernel == DEADLY:
        try:
            Path(os.environ[FLAG]).touch(exist_ok=False)
        except FileExistsError:
            return create(kernel)
        os._exit(3)
    return create(kernel)
