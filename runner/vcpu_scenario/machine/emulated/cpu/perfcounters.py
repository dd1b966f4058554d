"""The counters of the CPU's PMU that are running.

They go by the instructions that the guest begins, so that a run gives the same counts each time. An
instruction takes 8 cycles, as on the recorded machine: a CPU of 1 GHz that takes 8 ns for each.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

CYCLES_OF_AN_INSTRUCTION: Final = 8


class PerfCounter(Struct):
    """``each`` is what an instruction at one of ``levels`` adds; at ``limit`` it overflows."""

    index: int
    each: int
    levels: frozenset[int]
    limit: int
    count: int = 0

    @property
    def left(self) -> int:
        """Instructions until it overflows; 0 where it has."""
        return max(-((self.count - self.limit) // self.each), 0)


class PerfCounters:
    """Those of one CPU."""

    def __init__(self) -> None:
        self.running: list[PerfCounter] = []
        self.used = False
        """The guest has them, by KVM."""

    @property
    def selective(self) -> bool:
        """Whether the exception level of each instruction matters."""
        return any(len(counter.levels) == 1 for counter in self.running)

    @property
    def left(self) -> int | None:
        """Instructions until the first overflow, None where nothing counts."""
        return min(counter.left for counter in self.running) if self.running else None

    def ran(self, instructions: int, level: int) -> None:
        for counter in self.running:
            if level in counter.levels:
                counter.count += instructions * counter.each
