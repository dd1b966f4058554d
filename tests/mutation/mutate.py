"""Changes what a clause expects, at random: values, counts, order, and parts that are added."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final, TypeVar

from msgspec.structs import replace
from vcpu_scenario.expectation import (
    Acting,
    Check,
    Expectation,
    ExpectedExit,
    ExpectedStop,
    MemoryCheck,
    RegisterCheck,
    RingCheck,
)
from vcpu_scenario.source import Span
from vcpu_scenario.trace import Exit, Stop, Trace

T = TypeVar("T")
_HERE: Final = Span("mutated", 1, 1, 1, 1)
_FIELDS: Final = ("exit", "pc", "hsr", "far", "addr", "len", "is_write", "errno", "type", "ret")
_NAMES: Final = ("DEBUG", "MMIO", "SYSTEM_EVENT", "ARM_NISV", "INTR", "UNKNOWN", "HYPERCALL")


def mutated(
    random: Random, expectation: Expectation, trace: Trace, stops: Sequence[Stop]
) -> Expectation:
    """``expectation`` with one to three changes; some of them may still hold of the run."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        mutation = random.choice(_MUTATIONS)
        expectation = mutation(random, expectation, trace, stops)
    return expectation


def _other(random: Random, value: Any) -> Any:
    """Another value of the same type, often a near one."""
    if isinstance(value, str):
        return random.choice(_NAMES)
    if isinstance(value, bytes):
        return _shuffled_bytes(random, value)
    if isinstance(value, tuple):
        return random.choice(((*value, 0), value[:-1], tuple(_other(random, x) for x in value)))
    return random.choice((value ^ 1 << random.randrange(32), value + 4, value + 1, 0))


def _shuffled_bytes(random: Random, value: bytes) -> bytes:
    if not value:
        return b"\x01"
    at = random.randrange(len(value))
    return value[:at] + bytes([value[at] ^ 1 << random.randrange(8)]) + value[at + 1 :]


def _edited(random: Random, items: Sequence[T], changed: Callable[[T], T]) -> tuple[T, ...]:
    """One of ``items`` changed, dropped, doubled, or put elsewhere."""
    out = list(items)
    if not out:
        return ()
    at = random.randrange(len(out))
    match random.randrange(6):
        case 0:
            del out[at]
        case 1:
            out.insert(random.randrange(len(out) + 1), out[at])
        case 2:
            out.insert(random.randrange(len(out)), out.pop(at))
        case _:
            out[at] = changed(out[at])
    return tuple(out)


def _check(random: Random, check: Check) -> Check:
    if check.mask is not None and not random.randrange(3):
        return check._replace(mask=check.mask | 1 << random.randrange(32))
    return check._replace(value=_other(random, check.value))


def _register(random: Random, check: RegisterCheck) -> RegisterCheck:
    return check._replace(value=_other(random, check.value))


def _exit(random: Random, item: ExpectedExit) -> ExpectedExit:
    match random.randrange(5):
        case 0 if item.regs:
            changed = _edited(random, item.regs, lambda one: _register(random, one))
            return item._replace(regs=changed)
        case 1:
            least = random.choice((0, 1, 2, item.least, item.least + 1))
            most = random.choice((least or 1, least + 1, least + 3, None))
            return item._replace(least=least, most=most)
        case 2:
            field = random.choice(_FIELDS)
            value = random.choice(_NAMES) if field == "exit" else random.choice((0, 1, 4, -1))
            return item._replace(checks=(*item.checks, Check(field, value, "", _HERE)))
        case 3:
            reg = RegisterCheck(f"x{random.randrange(4)}", random.choice((0, 1, 2)), "", _HERE)
            return item._replace(regs=(*item.regs, reg))
        case _:
            checks = _edited(random, item.checks, lambda one: _check(random, one))
            return item._replace(checks=checks)


def _as_it_came(random: Random, exit_: Exit) -> ExpectedExit:
    """An expectation that this exit fits, and maybe others do."""
    fields = {"exit": exit_.exit, "pc": exit_.pc, **exit_.fields}
    kept = [name for name in fields if name != "data" and random.randrange(2)]
    checks = tuple(Check(name, fields[name], "", _HERE) for name in kept)
    return ExpectedExit("any", checks, (), _HERE)


def _exits(
    random: Random, expectation: Expectation, trace: Trace, stops: Sequence[Stop]
) -> Expectation:
    pattern = expectation.exits
    if pattern is None:
        pattern = tuple(_as_it_came(random, exit_) for exit_ in trace.exits)
    return replace(expectation, exits=_edited(random, pattern, lambda one: _exit(random, one)))


def _more_exits(
    random: Random, expectation: Expectation, trace: Trace, stops: Sequence[Stop]
) -> Expectation:
    pattern = list(expectation.exits or ())
    least = random.choice((0, 1, 1, 2))
    most = random.choice((None, max(least, 1), least + 2))
    source = random.choice(trace.exits) if trace.exits else Exit("DEBUG", 0, 0, 0, {}, {})
    item = _as_it_came(random, source)._replace(least=least, most=most)
    pattern.insert(random.randrange(len(pattern) + 1), item)
    return replace(expectation, exits=tuple(pattern))


def _never(
    random: Random, expectation: Expectation, trace: Trace, stops: Sequence[Stop]
) -> Expectation:
    if not trace.exits:
        return expectation
    banned = _as_it_came(random, random.choice(trace.exits))
    if random.randrange(2):
        banned = _exit(random, banned)
    return replace(expectation, never=(*expectation.never, banned))


def _stops(
    random: Random, expectation: Expectation, trace: Trace, stops: Sequence[Stop]
) -> Expectation:
    wanted = expectation.stops
    if wanted is None:
        wanted = tuple(ExpectedStop(stop.pc, stop.reason, (), "", _HERE) for stop in stops)

    def changed(one: ExpectedStop) -> ExpectedStop:
        if random.randrange(2):
            return replace(one, pc=_other(random, one.pc))
        return replace(one, reason=random.choice((None, "step", "brk", "watchpoint")))

    return replace(expectation, stops=_edited(random, wanted, changed))


def _final(
    random: Random, expectation: Expectation, trace: Trace, stops: Sequence[Stop]
) -> Expectation:
    final = expectation.final
    match random.randrange(6):
        case 0:
            reg = RegisterCheck(f"x{random.randrange(6)}", random.choice((0, 1, 144)), "", _HERE)
            final = replace(final, regs=(*final.regs, reg))
        case 1 if trace.memory:
            addr, data = random.choice(sorted(trace.memory.items()))
            check = MemoryCheck(addr, _shuffled_bytes(random, data), "", _HERE)
            final = replace(final, memory=(*final.memory, check))
        case 2 if final.eventfds:
            one = random.choice(final.eventfds)
            changed = replace(one, count=_other(random, one.count))
            final = replace(final, eventfds=(*final.eventfds, changed))
        case 3 if trace.ring is not None:
            entries = [
                (entry.addr, entry.len, entry.data[: entry.len]) for entry in trace.ring.entries
            ]
            edited = _edited(random, entries, lambda entry: (entry[0] + 4, *entry[1:]))
            final = replace(final, ring=RingCheck(edited, _HERE))
        case 4 if final.outputs:
            sent = random.choice(final.outputs)
            final = replace(
                final, outputs=(replace(sent, data=_shuffled_bytes(random, sent.data)),)
            )
        case _ if final.regs:
            final = replace(final, regs=_edited(random, final.regs, lambda r: _register(random, r)))
    return replace(expectation, final=final)


def _refused(
    random: Random, expectation: Expectation, trace: Trace, stops: Sequence[Stop]
) -> Expectation:
    wanted = Check("errno", random.choice((1, 2, 16, 22, trace.errno)), "", _HERE)
    return replace(expectation, refused=None if expectation.refused else wanted)


def _acting(
    random: Random, expectation: Expectation, trace: Trace, stops: Sequence[Stop]
) -> Expectation:
    exit_ = max(0, len(trace.exits) + random.randrange(-2, 3))
    return replace(expectation, acting=(*expectation.acting, Acting(exit_, _HERE)))


_MUTATIONS: Final = (
    *(_exits,) * 8,
    *(_more_exits,) * 3,
    *(_never,) * 3,
    *(_stops,) * 3,
    *(_final,) * 3,
    _refused,
    _acting,
)
