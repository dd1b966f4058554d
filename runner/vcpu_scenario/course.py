"""What a debugger is told that steps a guest through: the stops, and how it ended.

It travels out of a lab's guest as a trace does. Standard library only.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, TypeAlias

from vcpu_scenario.case import Case
from vcpu_scenario.trace import Trace

Point: TypeAlias = tuple[int, int, int]
"""A breakpoint as the GDB protocol has it: kind, address, length in bytes."""


class Why(StrEnum):
    """Why the vCPU stopped, as far as the VMM knows."""

    START = "start"
    STEP = "step"
    SOFTWARE = "software breakpoint"
    HARDWARE = "hardware breakpoint"
    WATCH = "watchpoint"
    INTERRUPT = "interrupt"
    LOST = "lost"
    """The VMM cannot continue, or the machine does not model what the guest came to."""


class End(StrEnum):
    """How it ended."""

    OFF = "off"
    """The guest switched itself off."""
    CODE = "end of code"
    """It came to the end of what was loaded."""
    ENOUGH = "enough"
    """There were many stops, or the same one again and again."""
    WAITS = "waits"
    """The guest waits for an interrupt that nobody makes."""
    RUNS = "runs"
    """A resume does not come back."""
    NOWHERE = "nowhere"
    """The guest is where there is no code: it took an exception that it has no vector for."""
    VMM = "VMM"
    """The VMM cannot continue."""
    REFUSED = "refused"
    """The kernel refused something."""
    NOT_MODELLED = "not modelled"
    """The emulated machine went no further."""
    LEFT_OUT = "left out"
    """The VMM cannot be what the scenario says."""

    @property
    def is_loss(self) -> bool:
        """Whether the debugger has lost the guest."""
        return self in (End.RUNS, End.NOWHERE, End.VMM)


class Landing(NamedTuple):
    """Where the debugger finds the guest: ``regs`` are x0 to x30, sp, pc and cpsr as the VMM shows
    them; ``entries`` and ``exits`` count what there was up to then. The first is the start."""

    why: Why
    pc: int
    regs: tuple[int, ...]
    entries: int
    exits: int


class Course(NamedTuple):
    """All of it. ``end`` says how it ended, with ``words`` where there is more to say; ``given``
    that the VMM made an exit an exception of the guest's after the last stop. ``unset`` are the
    breakpoints that the VMM did not set. ``trace`` has the calls and exits."""

    landings: tuple[Landing, ...]
    end: End
    words: str = ""
    pc: int = 0
    given: bool = False
    unset: tuple[Point, ...] = ()
    trace: Trace = Trace()


class Steps(NamedTuple):
    """What to step through: a case, through the eyes of the VMM of that name."""

    case: Case
    vmm: str


class Recorded(NamedTuple):
    """What a real VMM told its debugger: ``vmm`` is its name and ``version`` its release.

    ``packets`` are (sent, received), None where no answer came in time, ``^C`` for the byte 3;
    ``stops`` are (packets before it, pc, PSTATE, the registers that are others than at the stop
    before); ``output`` is what the guest sent out of its UART. The course says the same, without
    calls and exits, which nobody saw.
    """

    vmm: str
    version: str
    packets: tuple[tuple[str, str | None], ...]
    stops: tuple[tuple[int, int, int, dict[str, int]], ...]
    output: str
    course: Course
