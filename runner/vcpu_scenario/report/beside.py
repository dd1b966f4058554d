"""What was expected beside what came, exit by exit and field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from vcpu_scenario.expectation import Check, ExpectedExit, Final
from vcpu_scenario.source import Span
from vcpu_scenario.trace import Exit, observed
from vcpu_scenario.verdict import match
from vcpu_scenario.verdict.align import align
from vcpu_scenario.verdict.exits import describe_expected
from vcpu_scenario.verdict.final import (
    LISTED,
    LISTED_COUNT,
    listed_name,
    ring_entry,
    text_of,
    times,
)
from vcpu_scenario.verdict.fitting import Fitting
from vcpu_scenario.verdict.guest import Guest
from vcpu_scenario.verdict.result import Result, guest_of
from vcpu_scenario.verdict.words import masked_words, value_words
from vcpu_scenario.vmm.patterns import field_of


class Field(Struct, frozen=True):
    """A field of an exit, or an observed register: values in words.

    ``expected`` is None where nothing is expected of it, ``found`` where the exit has no such.
    """

    name: str
    expected: str | None
    found: str | None
    ok: bool = True


class Beside(Struct, frozen=True):
    """An exit that was expected, compared with one that came.

    ``expected`` describes the one, ``span`` is where it is written, ``exit`` is the index of the
    other; expected and span are None for an extra exit, exit for a missing one. ``fields`` are
    those that either speaks of.
    """

    expected: str | None
    span: Span | None
    exit: int | None
    fields: tuple[Field, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing parts the two."""
        paired = self.expected is not None and self.exit is not None
        return paired and all(field.ok for field in self.fields)


def beside(result: Result) -> tuple[Beside, ...] | None:
    """Every exit expected and every one that came, in the order in which they align.

    None where the case did not run, or its clause does not speak of exits.
    """
    expectation, trace = result.case.expectation, result.trace
    if trace is None or expectation is None or expectation.exits is None:
        return None
    pattern, exits = expectation.exits, trace.exits
    guest = guest_of(result.case)
    states = observed(exits)

    def cost(expected: int, actual: int) -> int:
        return match.cost(pattern[expected], exits[actual], states[actual])

    return tuple(
        _beside(
            None if pair.expected is None else pattern[pair.expected],
            pair.actual,
            None if pair.actual is None else (exits[pair.actual], states[pair.actual]),
            guest,
        )
        for pair in align(pattern, len(exits), cost, Fitting(pattern, exits, states)).pairs
    )


def _beside(
    expected: ExpectedExit | None,
    index: int | None,
    came: tuple[Exit, Mapping[str, int]] | None,
    guest: Guest,
) -> Beside:
    exit_, state = came if came is not None else (None, {})
    return Beside(
        None if expected is None else describe_expected(expected, guest),
        None if expected is None else expected.span,
        index,
        tuple(_fields(expected, exit_, state, guest)),
    )


def _fields(
    expected: ExpectedExit | None, exit_: Exit | None, state: Mapping[str, int], guest: Guest
) -> Iterator[Field]:
    checks = expected.checks if expected else ()
    found = fields_of(exit_, guest) if exit_ is not None else {}
    for name in dict.fromkeys((*found, *(check.field for check in checks))):
        asked = [check for check in checks if check.field == name]
        if not asked:
            yield Field(name, None, found[name])
        for check in asked:
            yield _compared(check, exit_, guest)
    for reg in expected.regs if expected else ():
        value = state.get(reg.reg)
        shown = None if value is None else f"{value:#x}"
        yield Field(reg.reg, f"{reg.value:#x}", shown, ok=value == reg.value)


def fields_of(exit_: Exit, guest: Guest) -> dict[str, str]:
    """The fields of an exit in words, but for a result of 0."""
    out = {"exit": exit_.exit}
    if exit_.ret or exit_.errno:
        out["ret"] = str(exit_.ret)
        out["errno"] = value_words("errno", exit_.errno, guest.name)
    out["pc"] = value_words("pc", exit_.pc, guest.name)
    for name, value in exit_.fields.items():
        out[name] = value_words(name, value, guest.name)
    return out


def _compared(check: Check, exit_: Exit | None, guest: Guest) -> Field:
    if exit_ is None:
        return Field(check.field, _wanted(check, guest), None, ok=False)
    found = field_of(exit_, check.field)
    shown = value_words(check.field, match.found_value(check, found), guest.name)
    return Field(check.field, _wanted(check, guest), shown, ok=match.meets(check, found))


def _wanted(check: Check, guest: Guest) -> str:
    if check.mask is not None and isinstance(check.value, int):
        return masked_words(check.field, check.value, check.mask)
    return value_words(check.field, check.value, guest.name)


def final_state(result: Result) -> tuple[Field, ...]:
    """What the clause expects of the state at the end, beside what was found."""
    expectation = result.case.expectation
    trace = result.trace
    if trace is None or expectation is None:
        return ()
    if trace.error is not None or trace.unmodelled is not None:
        return ()
    guest = guest_of(result.case)
    came = 0 if trace.ring is None else len(trace.ring.entries)
    differs = {found.field: found for found in result.mismatches if found.kind.is_final}
    out = []
    for name, expected in _final(expectation.final, guest, came):
        mismatch = differs.get(name)
        found = expected if mismatch is None else mismatch.found
        out.append(Field(name, expected, found, ok=mismatch is None))
    return tuple(out)


def _final(final: Final, guest: Guest, came: int) -> Iterator[tuple[str, str]]:
    """Each check by the name that its mismatch has, with the value expected.

    ``came`` is how many entries the coalesced ring has: only so many are compared.
    """
    for reg in final.regs:
        yield f"final {reg.reg}", f"{reg.value:#x}"
    for memory in final.memory:
        yield f"memory at {guest.name(memory.addr)}", memory.data.hex(" ")
    for eventfd in final.eventfds:
        yield f"eventfd of {eventfd.device}", times(eventfd.count)
    if final.ring is not None:
        for n, entry in enumerate(final.ring.entries[:came]):
            yield f"entry {n} of the coalesced ring", ring_entry(guest, *entry)
        yield "entries in the coalesced ring", str(len(final.ring.entries))
    for output in final.outputs:
        yield f"output of {output.device}", text_of(output.data)
    for parts in final.output_parts:
        for part, _ in parts.parts:
            yield f"output of {parts.device}", f"{text_of(part)} in it"
    if (listed := final.reg_list) is not None:
        yield from ((listed_name(one), LISTED[one.listed]) for one in listed.registers)
        if listed.count is not None:
            yield LISTED_COUNT, str(listed.count)
