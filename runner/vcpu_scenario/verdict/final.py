"""The state at the end of a run: registers, memory, eventfds, the coalesced ring, output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vcpu_scenario import expectation
from vcpu_scenario.expectation import (
    EventfdCheck,
    ListedCheck,
    MemoryCheck,
    OutputCheck,
    OutputPartsCheck,
    RegisterCheck,
    RegListCheck,
    RingCheck,
)
from vcpu_scenario.source import Span
from vcpu_scenario.trace import Trace
from vcpu_scenario.verdict.exits import describe_exit
from vcpu_scenario.verdict.guest import Guest
from vcpu_scenario.verdict.records import Kind, Mismatch


def compare_final(final: expectation.Final, trace: Trace, guest: Guest) -> Iterator[Mismatch]:
    """Yields every part of the final state that is not as expected."""
    for reg in final.regs:
        yield from _register(reg, trace, guest)
    for memory in final.memory:
        yield from _memory(memory, trace, guest)
    for eventfd in final.eventfds:
        yield from _eventfd(eventfd, trace)
    if final.ring is not None:
        yield from _ring(final.ring, trace, guest)
    for output in final.outputs:
        yield from _output(output, trace)
    for check in final.output_parts:
        yield from _output_parts(check, trace)
    if final.reg_list is not None:
        yield from _reg_list(final.reg_list, trace)


def _register(check: RegisterCheck, trace: Trace, guest: Guest) -> Iterator[Mismatch]:
    value = trace.final_regs.get(check.reg)
    if value != check.value:
        found = "nothing: it was not read" if value is None else f"{value:#x}"
        what = f"final {check.reg}"
        notes = _last_change(check.reg, value, trace, guest)
        yield _difference(Kind.FINAL_REGISTER, what, f"{check.value:#x}", found, check.span, notes)


def _last_change(reg: str, value: int | None, trace: Trace, guest: Guest) -> tuple[str, ...]:
    """At which exit the register got its last value, as far as that was observed."""
    if value is None:
        return ()
    seen = [(n, exit_) for n, exit_ in enumerate(trace.exits) if reg in exit_.regs]
    if not seen:
        return (f"`observe: [{reg}]` shows at which exit it changes",)
    index, exit_ = seen[-1]
    if exit_.regs[reg] != value:
        return (f"{reg} was {exit_.regs[reg]:#x} from exit {index} on, and changed after the last",)
    what = f"exit {index}: {describe_exit(exit_, guest)}"
    if index == 0:
        return (f"{reg} is as it was at {what}",)
    return (f"{reg} last changed on the way to {what}",)


def _memory(check: MemoryCheck, trace: Trace, guest: Guest) -> Iterator[Mismatch]:
    data = _peeked(trace, check.addr, len(check.data))
    if data != check.data:
        what = f"memory at {guest.name(check.addr)}"
        found = "nothing: it was not read" if data is None else data.hex(" ")
        notes: tuple[str, ...] = ()
        if data is not None:
            at = next(n for n, byte in enumerate(check.data) if data[n] != byte)
            notes = (f"first different byte: {check.addr + at:#x}",)
        yield _difference(Kind.MEMORY, what, check.data.hex(" "), found, check.span, notes)


def _peeked(trace: Trace, addr: int, length: int) -> bytes | None:
    for base, data in trace.memory.items():
        offset = addr - base
        if offset >= 0 and offset + length <= len(data):
            return data[offset : offset + length]
    return None


def _eventfd(check: EventfdCheck, trace: Trace) -> Iterator[Mismatch]:
    count = trace.eventfd[check.index] if check.index < len(trace.eventfd) else 0
    if count != check.count:
        what = f"eventfd of {check.device}"
        yield _difference(Kind.EVENTFD, what, times(check.count), times(count), check.span)


def times(count: int) -> str:
    """``1 signal``, ``2 signals``."""
    return "1 signal" if count == 1 else f"{count} signals"


def _ring(check: RingCheck, trace: Trace, guest: Guest) -> Iterator[Mismatch]:
    ring = trace.ring
    entries = () if ring is None else ring.entries
    for n, (addr, length, data) in enumerate(check.entries[: len(entries)]):
        entry = entries[n]
        came = (entry.addr, entry.len, entry.data[: len(data)])
        if came != (addr, length, data):
            yield _difference(
                Kind.RING,
                f"entry {n} of the coalesced ring",
                ring_entry(guest, addr, length, data),
                ring_entry(guest, *came),
                check.span,
            )
    if len(entries) != len(check.entries):
        expected, found = str(len(check.entries)), str(len(entries))
        yield _difference(Kind.RING, "entries in the coalesced ring", expected, found, check.span)


def ring_entry(guest: Guest, addr: int, length: int, data: bytes) -> str:
    """An entry of the coalesced ring in words."""
    return f"{length} at {guest.name(addr)} = {data.hex(' ')}"


def _output(check: OutputCheck, trace: Trace) -> Iterator[Mismatch]:
    sent = trace.output.get(check.device, b"")
    if sent != check.data:
        what = f"output of {check.device}"
        yield _difference(Kind.OUTPUT, what, text_of(check.data), text_of(sent), check.span)


_TAIL: Final = 80
"""Bytes that are shown of an output that lacks something."""


def _output_parts(check: OutputPartsCheck, trace: Trace) -> Iterator[Mismatch]:
    rest = trace.output.get(check.device, b"")
    for part, span in check.parts:
        _, found, behind = rest.partition(part)
        if not found:
            told = text_of(rest) if len(rest) <= _TAIL else f"... {text_of(rest[-_TAIL:])}"
            what = f"output of {check.device}"
            yield _difference(Kind.OUTPUT, what, f"{text_of(part)} in it", told, span)
            return
        rest = behind


def text_of(data: bytes) -> str:
    """What a device sent, as text."""
    return repr(data)[1:] if data else "nothing"


LISTED: Final = {True: "in KVM_GET_REG_LIST", False: "not there"}
LISTED_COUNT: Final = "registers in KVM_GET_REG_LIST"


def listed_name(check: ListedCheck) -> str:
    """What a register is called of which it counts whether it is listed."""
    return f"register {check.reg} ({check.id:#x})"


def _reg_list(check: RegListCheck, trace: Trace) -> Iterator[Mismatch]:
    if trace.reg_list is None:
        yield _difference(
            Kind.REGISTER_LIST, "KVM_GET_REG_LIST", "a list", "nothing: it was not read", check.span
        )
        return
    ids = trace.reg_list
    for one in check.registers:
        if (one.id in ids) != one.listed:
            wanted, found = LISTED[one.listed], LISTED[not one.listed]
            yield _difference(Kind.REGISTER_LIST, listed_name(one), wanted, found, one.span)
    if check.count is not None and len(ids) != check.count:
        counts = str(check.count), str(len(ids))
        yield _difference(Kind.REGISTER_LIST, LISTED_COUNT, *counts, check.span)


def _difference(
    kind: Kind, what: str, wanted: str, found: str, span: Span, notes: tuple[str, ...] = ()
) -> Mismatch:
    return Mismatch(
        kind,
        f"{what}: expected {wanted}, found {found}",
        span,
        field=what,
        expected=wanted,
        found=found,
        notes=notes,
    )
