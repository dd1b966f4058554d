"""The generic timer's counters, the guest's virtual timer and KVM's physical one.

A counter has no value that two kernels agree on, and neither has the instruction at which a timer
fires. Here time goes by what the guest does, so that it is the same in each run: a read of a
counter or of a timer takes a microsecond, and while a timer is armed an instruction takes a tick
and an exit ten microseconds. A loop that does nothing but read a counter is waiting: the longer it
has waited, the longer each further read takes, so that it ends a little late and soon.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct, field

TICKS_OF_A_SECOND: Final = 62_500_000
"""CNTFRQ_EL0."""
TICKS_OF_A_READ: Final = 62
_LOOP: Final = 32
"""Instructions of a loop that only waits, at most."""
_PATIENCE: Final = 32
"""Reads that take their time before such a loop is known; further ones take that part of what
was waited so far."""
TICKS_OF_AN_EXIT: Final = 625
TICKS_BEFORE_THE_FIRST_RUN: Final = 62_500
"""A millisecond that the VMM takes to set a VM up."""
HOST_AHEAD: Final = 1 << 36
"""How long the host has been up when the VM is made, by the physical counter."""

ENABLE: Final = 1
IMASK: Final = 1 << 1
ISTATUS: Final = 1 << 2
_WORD: Final = (1 << 64) - 1


class Clock(Struct):
    """What both counters go by; it starts at 0 with the VM."""

    count: int = TICKS_BEFORE_THE_FIRST_RUN
    ahead: list[int] = field(default_factory=lambda: [0, HOST_AHEAD])
    """How far the virtual and the physical counter are ahead of it, in every vCPU."""
    trapped: bool = False
    """Reads of the physical counter trap to EL2, where they are emulated."""
    lost_at_el0: bool = False
    """Reads of it at EL0 trap to EL2, which knows no such register."""
    unmoved: bool = False
    """They give the host's counter, whatever offset the VMM has set."""

    def read(self) -> int:
        self.count += TICKS_OF_A_READ
        return self.count


class Wait(Struct):
    """The loop that a vCPU may be waiting in: its last read of a counter, by ``pc`` and by how
    many instructions had been ``executed`` in this entry."""

    pc: int = -1
    executed: int = 0
    since: int = 0
    reads: int = 0

    def longer(self, pc: int, executed: int, now: int) -> int:
        """What a read at ``now`` takes beyond its own time, in ticks."""
        if pc != self.pc or not 0 < executed - self.executed <= _LOOP:
            self.pc, self.since, self.reads = pc, now, 0
        self.executed = executed
        self.reads += 1
        return (now - self.since) // _PATIENCE if self.reads > _PATIENCE else 0


class Timer(Struct):
    """One timer on a counter by its place in :attr:`Clock.ahead`."""

    clock: Clock
    counter: int = 0
    control: int = 0
    compare: int = 0
    line: bool = False
    """Its output as KVM last saw it."""

    def count(self) -> int:
        return self.clock.read() + self.clock.ahead[self.counter] & _WORD

    def set_count(self, value: int) -> None:
        """The counter continues from ``value``."""
        self.clock.ahead[self.counter] = value - self.clock.count & _WORD
        self.clock.read()

    def read_by_guest(self) -> int:
        """The physical counter in an MRS."""
        return self.clock.read() + HOST_AHEAD if self.clock.unmoved else self.count()

    def set_compare(self, value: int) -> None:
        self.compare = value & _WORD

    def set_value(self, value: int) -> None:
        """TVAL: from now on, signed."""
        value &= 0xFFFF_FFFF
        self.set_compare(self.count() + (value - (1 << 32) if value >> 31 else value))

    def value(self) -> int:
        return self.compare - self.count() & 0xFFFF_FFFF

    def set_control(self, value: int, kept: int = ENABLE | IMASK) -> None:
        self.control = value & kept

    @property
    def left(self) -> int:
        """Ticks until its condition is met; 0 where it is."""
        clock = self.clock
        return max(self.compare - (clock.count + clock.ahead[self.counter] & _WORD), 0)

    @property
    def met(self) -> bool:
        return not self.left

    @property
    def armed(self) -> bool:
        """Enabled and not masked: its output is its condition."""
        return self.control & (ENABLE | IMASK) == ENABLE

    @property
    def output(self) -> bool:
        return self.armed and self.met


class Timers:
    """The two timers of a vCPU."""

    def __init__(self, clock: Clock | None = None) -> None:
        """``clock`` is that of the VM's other vCPUs."""
        self.clock: Final = clock or Clock()
        self.virtual: Final = Timer(self.clock)
        self.physical: Final = Timer(self.clock, 1)
        self._wait: Final = Wait()
        self.in_use = False
        """One was ever enabled: before there is nothing to look at."""
        self.first_used: Callable[[], None] = lambda: None

    def set_control(self, timer: Timer, value: int, kept: int = ENABLE | IMASK) -> None:
        timer.set_control(value, kept)
        if value & ENABLE and not self.in_use:
            self.in_use = True
            self.first_used()

    def polled(self, pc: int, executed: int) -> None:
        """A counter was read. Time continues by what the guest may be waiting, but not beyond a
        timer that fires before."""
        ticks = self._wait.longer(pc, executed, self.clock.count)
        if ticks:
            left = self.left
            self.clock.count += ticks if left is None else min(ticks, left)

    @property
    def left(self) -> int | None:
        """Ticks until one fires of which KVM does not know yet; None where none does."""
        waits = [
            timer.left for timer in (self.virtual, self.physical) if timer.armed and not timer.line
        ]
        return min(waits, default=None)

    @property
    def fired(self) -> bool:
        """One fired of which KVM does not know: its interrupt is the host's first."""
        return self.in_use and self.left == 0
