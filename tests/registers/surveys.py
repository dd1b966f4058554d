"""What a machine answered to the surveys of :mod:`.onereg`, and how two of them differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from vcpu_scenario.kvm.registers import sys_reg
from vcpu_scenario.survey import Answer, Ask

from tests.registers.onereg import Situation, Written, listed, reads, writes, written

Asking: TypeAlias = Callable[[Situation, tuple[Ask, ...]], tuple[Answer, ...]]
Found: TypeAlias = Mapping[int, tuple[int, Written]]
"""By register: what it holds, and what came of each value it was written with."""


def survey(situation: Situation, ask: Asking) -> Found:
    """All of one vCPU's registers."""

    def answers(asks: tuple[Ask, ...]) -> tuple[Answer, ...]:
        return tuple(situation.answers(ask(situation, asks)))

    (ids,) = answers(tuple(listed()))
    assert isinstance(ids, tuple)
    found = {}
    for reg, value in zip(ids, answers(tuple(reads(ids))), strict=True):
        assert isinstance(value, int)
        asks = tuple(writes(reg, value, fully=situation.fully))
        found[reg] = value, written(reg, value, answers(asks), fully=situation.fully)
    return found


VARIABLE: Final = frozenset({sys_reg(3, 3, 14, 3, 2), sys_reg(3, 3, 14, 0, 1)})
"""The counters: what they hold is a matter of time."""
GARBAGE: Final = frozenset({sys_reg(2, 0, 0, 2, 0)})
"""MDCCINT_EL1: QEMU gives whatever was in a register of its own once KVM does not trap it."""


def differences(found: Found, expected: Found) -> Iterator[str]:
    """A line for each register and value of which ``found`` has something else. What it has not
    asked is no difference."""
    for reg in expected.keys() - found.keys():
        yield f"{reg:#x} is missing"
    for reg in found.keys() - expected.keys():
        yield f"{reg:#x} should not be there"
    for reg in found.keys() & expected.keys() - GARBAGE:
        held, put = found[reg]
        real, outcomes = expected[reg]
        if held != real and reg not in VARIABLE:
            yield f"{reg:#x} holds {held:#x}, not {real:#x}"
        for value, outcome in put.items():
            if not _same(reg, outcome, outcomes.get(value, outcome)):
                yield f"{reg:#x} = {value:#x} gives {outcome}, not {outcomes[value]}"


def _same(reg: int, one: Answer, other: Answer) -> bool:
    if reg not in VARIABLE:
        return one == other
    assert isinstance(one, int)
    assert isinstance(other, int)
    return (one < 0) == (other < 0)
