"""All words that are swept, and a digest of what came of each few of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from vcpu_scenario.case import Case
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.loop import run_case

from tests.words import sweep
from tests.words.classes import CLASSES, system, words

PER_RUN: Final = 4000
PER_DIGEST: Final = 50
SYSTEM: Final = "hints, barriers and immediates of PSTATE"
FULLY: Final = 3
"""Runs of each class, with FP on and off: 24,000 words."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """One run of a guest: which words of a class, with FP on or off."""

    name: str
    number: int
    fp: bool

    @property
    def title(self) -> str:
        return f"{self.name} {self.number}, FP {'on' if self.fp else 'off'}"

    @property
    def words(self) -> Sequence[int]:
        if self.name == SYSTEM:
            return system()[self.number * PER_RUN : (self.number + 1) * PER_RUN]
        return words(self.name, self.number, PER_RUN)

    def case(self) -> Case:
        return sweep.case(self.words, fp=self.fp)


def sweeps(runs: int = FULLY) -> Iterator[Sweep]:
    """``runs`` of each class, the smallest numbers first."""
    for number in range(runs):
        for fp in (True, False):
            yield from (Sweep(name, number, fp) for name in CLASSES)
    for number in range(-(-len(system()) // PER_RUN)):
        yield Sweep(SYSTEM, number, fp=False)


def emulated(sweep: Sweep) -> Trace:
    """The sweep on the emulated machine: what an instruction does is no matter of the kernel."""
    machine = create("6.12")
    try:
        return run_case(machine, sweep.case())
    finally:
        machine.close()


def digests(trace: Trace) -> list[str]:
    """Of what came of each :data:`PER_DIGEST` words, and of the memory at the end."""
    outcomes = sweep.outcomes(trace)
    parts = [outcomes[at : at + PER_DIGEST] for at in range(0, len(outcomes), PER_DIGEST)]
    return [
        blake2b(data, digest_size=4).hexdigest()
        for data in (*(repr(part).encode() for part in parts), sweep.data(trace))
    ]


Found = Mapping[str, Sequence[str]]
"""By title of a sweep its digests."""
