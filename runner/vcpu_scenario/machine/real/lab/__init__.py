"""The lab: real KVM for everyone, an arm64 kernel under QEMU with EL2 and the real machine in it.

``run_cases("6.12", cases)`` is all that is needed to ask a real kernel; a :class:`Lab` keeps its
guest between cases.
"""

from vcpu_scenario.machine.real.errors import BootError, LabError, LabUnavailableError
from vcpu_scenario.machine.real.lab.guest import Skipped
from vcpu_scenario.machine.real.lab.kernels import Kernel, Listed, fetch, list_kernels, path
from vcpu_scenario.machine.real.lab.kinds import gic_for
from vcpu_scenario.machine.real.lab.lab import Lab, Lost, Result, boot, run_cases
from vcpu_scenario.machine.real.lab.options import LabOptions
from vcpu_scenario.machine.real.program import Ended, Program

__all__ = [
    "BootError",
    "Ended",
    "Kernel",
    "Lab",
    "LabError",
    "LabOptions",
    "LabUnavailableError",
    "Listed",
    "Lost",
    "Program",
    "Result",
    "Skipped",
    "boot",
    "fetch",
    "gic_for",
    "list_kernels",
    "path",
    "run_cases",
]
