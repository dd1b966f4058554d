"""The generic timer's counters and the guest's virtual timer, as far as they are modelled.

A counter has no value that two kernels agree on. Here it counts what is read of it, so that a
guest gets the same values each time: each read comes a microsecond after the one before. Of a
timer its registers are modelled; when it fires is not, and is told where that would show.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from vcpu_scenario.machine.interface import NotModelled

TICKS_OF_A_READ: Final = 62
"""A microsecond of CNTFRQ_EL0, 62.5 MHz."""
HOST_AHEAD: Final = 1 << 36
"""How long the host has been up when the VM is made, by the physical counter."""
FAR_OFF: Final = 1 << 40
"""Ticks that no run takes: five hours."""

ENABLE: Final = 1
IMASK: Final = 1 << 1
ISTATUS: Final = 1 << 2
_WORD: Final = (1 << 64) - 1


@dataclass(slots=True)
class Clock:
    """What both counters go by; it starts at 0 with the VM."""

    count: int = 0

    def read(self) -> int:
        self.count += TICKS_OF_A_READ
        return self.count


@dataclass(slots=True)
class Timer:
    """One timer on a counter that is ``ahead`` of the clock. ``name`` is its registers'."""

    clock: Clock
    name: str
    ahead: int = 0
    control: int = 0
    compare: int = 0
    _passed: bool = field(default=True)
    """The counter was at ``compare`` when that was written."""

    def count(self) -> int:
        return self.clock.read() + self.ahead & _WORD

    def set_count(self, value: int) -> None:
        """The counter goes on from ``value``."""
        self.ahead = value - self.clock.count & _WORD
        self.set_compare(self.compare)

    def set_compare(self, value: int) -> None:
        self.compare = value & _WORD
        self._passed = (self.clock.count + self.ahead & _WORD) >= self.compare

    def set_value(self, value: int) -> None:
        """TVAL: from now on, signed."""
        value &= 0xFFFF_FFFF
        self.set_compare(self.count() + (value - (1 << 32) if value >> 31 else value))
        self._passed = value >> 31 == 1 or not value

    def value(self) -> int:
        return self.compare - self.count() & 0xFFFF_FFFF

    def set_control(self, value: int, kept: int = ENABLE | IMASK) -> None:
        """What is ``kept`` of ``value``. Raises :class:`NotModelled` where the timer would fire."""
        self.control = value & kept
        if self.armed:
            raise NotModelled(
                f"the armed {_KINDS[self.name]} timer ({self.name}_CTL_EL0 = {self.control:#x},"
                f" {self.name}_CVAL_EL0 = {self.compare:#x})"
            )

    @property
    def fires(self) -> bool:
        """Whether its condition is met before any run ends."""
        return self._passed or (self.compare - self.clock.count - self.ahead & _WORD) < FAR_OFF

    @property
    def armed(self) -> bool:
        return self.control & (ENABLE | IMASK) == ENABLE and self.fires

    def met(self) -> bool:
        """Its condition; raises :class:`NotModelled` where that is a matter of time."""
        if self._passed:
            return True
        if self.fires:
            raise NotModelled(
                f"when the {_KINDS[self.name]} timer's condition is met"
                f" ({self.name}_CVAL_EL0 = {self.compare:#x})"
            )
        return False


_KINDS: Final = {"CNTV": "virtual", "CNTP": "physical"}
