"""What a debugger and a VMM have names and numbers for: breakpoints, registers, what a stop is told
as, what goes wrong, and what is known of a VMM."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from vcpu_scenario.kvm.registers import CORE_REGISTERS
from vcpu_scenario.trace import StopReason
from vcpu_scenario.vmm.told import Why

SOFTWARE: Final = 0
HARDWARE: Final = 1
WATCHES: Final[dict[int, Literal["w", "r", "rw"]]] = {2: "w", 3: "r", 4: "rw"}
POINTS: Final = (SOFTWARE, HARDWARE, *WATCHES)
"""The kinds of the protocol's ``Z`` packets."""

SP: Final = 31
PC: Final = 32
CPSR: Final = 33
V0: Final = 34
FPSR: Final = 66
FPCR: Final = 67
"""Numbers of registers in GDB's description of AArch64: x0 to x30 come first."""

SP_EL0: Final = CORE_REGISTERS["sp_el0"]
SP_EL1: Final = CORE_REGISTERS["sp_el1"]

WHY: Final = {
    StopReason.STEP: Why.STEP,
    StopReason.BRK: Why.SOFTWARE,
    StopReason.HARDWARE_BREAKPOINT: Why.HARDWARE,
    StopReason.WATCHPOINT: Why.WATCH,
}
"""What a debugger is told, by what the exit says."""


class Refused(Exception):
    """The VMM does not set or remove the breakpoint, or does not write the register."""


class Unknown(Exception):
    """What the VMM shows its debugger as this register is not known."""


class Hangs(Exception):
    """The VMM's stub does not come back from what its debugger asks for; the message says why."""


class Known(NamedTuple):
    """What is known of a VMM, and how: ``version`` is the release or the commit that was read,
    ``recorded`` the kernels under which a debugger's sessions with it were recorded."""

    version: str = ""
    recorded: tuple[str, ...] = ()


RECORDED: Final = ("5.10", "6.1", "6.12", "6.16", "6.17", "7.2")
"""The kernels under which QEMU was recorded."""
