"""Judges a run as plainly as can be, with nothing of the verdict's own code.

It answers one question, whether all of what is expected is what came, by trying every way in which
the exits expected can be laid over those that came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from errno import EINTR
from functools import cache
from typing import Any, Protocol

from vcpu_scenario.case import ImmediateExit, PendSignal
from vcpu_scenario.expectation import Check, Expectation, ExpectedExit, Final, RegListCheck
from vcpu_scenario.trace import Exit, Stop, Trace


class Repeated(Protocol):
    """What comes between ``least`` and ``most`` times in a row."""

    @property
    def least(self) -> int: ...

    @property
    def most(self) -> int | None: ...


def can_be_laid(pattern: Sequence[Repeated], fits: Sequence[Sequence[bool]], count: int) -> bool:
    """Whether ``pattern`` can be laid over ``count`` things; ``fits[i][j]`` is what fits what."""

    @cache
    def rest(item: int, thing: int) -> bool:
        if item == len(pattern):
            return thing == count
        most = pattern[item].most
        for times in range(count - thing + 1 if most is None else most + 1):
            if times >= pattern[item].least and rest(item + 1, thing + times):
                return True
            if thing + times >= count or not fits[item][thing + times]:
                return False
        return False

    return rest(0, 0)


def holds(expectation: Expectation, trace: Trace, stops: Sequence[Stop]) -> bool:
    """Whether every part of ``expectation`` is as it came."""
    if expectation.refused is not None:
        return trace.error is not None and trace.errno == expectation.refused.value
    if trace.error is not None or trace.ended == "refused":
        return False
    return (
        _exits_hold(expectation.exits, trace.exits)
        and not any(any(row) for row in _fits(expectation.never, trace.exits))
        and _stops_hold(expectation, stops)
        and _final_holds(expectation, trace)
        and _all_done(expectation, trace)
        and _interrupted_as_said(expectation, trace)
    )


def _interrupted_as_said(expectation: Expectation, trace: Trace) -> bool:
    """Of a guest that hangs, where nobody interrupts it, the clause says so or says nothing but
    what its debugger is told."""
    did = trace.entries[-1].did if trace.entries else ()
    if trace.ended != "interrupted" or any(isinstance(x, ImmediateExit | PendSignal) for x in did):
        return True
    said = [one for one in expectation.exits or () if one.kind in ("interrupted", "error")]
    if any(row[-1] for row in _fits(said, trace.exits)):
        return True
    return expectation.exits is None and not expectation.never and expectation.final == Final()


def _exits_hold(pattern: Sequence[ExpectedExit] | None, exits: Sequence[Exit]) -> bool:
    return pattern is None or can_be_laid(pattern, _fits(pattern, exits), len(exits))


def _fits(pattern: Sequence[ExpectedExit], exits: Sequence[Exit]) -> list[list[bool]]:
    registers: list[dict[str, int]] = []
    for exit_ in exits:
        registers.append({**(registers[-1] if registers else {}), **exit_.regs})
    pairs = list(zip(exits, registers, strict=True))
    return [[_fit(expected, *pair) for pair in pairs] for expected in pattern]


def _fit(expected: ExpectedExit, exit_: Exit, registers: Mapping[str, int]) -> bool:
    found = {
        "flags": 0,
        "hsr_high": 0,
        **exit_.fields,
        "exit": exit_.exit,
        "ret": exit_.ret,
        "errno": exit_.errno,
        "pc": exit_.pc,
    }
    asks = {check.field for check in expected.checks}
    if exit_.ret != 0 and expected.kind != "any" and not asks & {"ret", "errno"}:
        return False
    if exit_.errno == EINTR and expected.kind == "error" and "errno" not in asks:
        return False
    return all(_met(check, found.get(check.field)) for check in expected.checks) and all(
        registers.get(reg.reg) == reg.value for reg in expected.regs
    )


def _met(check: Check, found: Any) -> bool:
    if found is None:
        return False
    if isinstance(check.value, bytes):
        return bool(found[: 2 * len(check.value)] == check.value.hex())
    if isinstance(check.value, tuple):
        return list(found) == list(check.value)
    if check.mask is not None:
        return bool(found & check.mask == int(check.value) & check.mask)
    return bool(found == check.value)


def _stops_hold(expectation: Expectation, stops: Sequence[Stop]) -> bool:
    wanted = expectation.stops
    if wanted is None:
        return True
    return len(wanted) == len(stops) and all(
        one.pc == stop.pc
        and one.reason in (None, stop.reason)
        and all(stop.regs.get(reg.reg) == reg.value for reg in one.regs)
        for one, stop in zip(wanted, stops, strict=True)
    )


def _final_holds(expectation: Expectation, trace: Trace) -> bool:
    final = expectation.final
    memory = {at + n: byte for at, data in trace.memory.items() for n, byte in enumerate(data)}
    entries = [] if trace.ring is None else list(trace.ring.entries)
    ring = final.ring.entries if final.ring is not None else None
    return (
        all(trace.final_regs.get(reg.reg) == reg.value for reg in final.regs)
        and all(
            [memory.get(check.addr + n) for n in range(len(check.data))] == list(check.data)
            for check in final.memory
        )
        and all(trace.eventfd[check.index] == check.count for check in final.eventfds)
        and all(trace.output.get(check.device, b"") == check.data for check in final.outputs)
        and (
            ring is None
            or [(entry.addr, entry.len, entry.data[: entry.len]) for entry in entries]
            == [tuple(entry) for entry in ring]
        )
        and (final.reg_list is None or _list_holds(final.reg_list, trace.reg_list or ()))
    )


def _list_holds(wanted: RegListCheck, listed: Sequence[int]) -> bool:
    return wanted.count in (None, len(listed)) and all(
        (register.id in listed) is register.listed for register in wanted.registers
    )


def _all_done(expectation: Expectation, trace: Trace) -> bool:
    ended_there = trace.ended in ("error", "system event", "interrupted", "repeats")
    return all(one.exit < len(trace.exits) - ended_there for one in expectation.acting)
