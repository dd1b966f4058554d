"""Expectations, lowered to checks on the fields of a trace.

The loader turns every variant of the language (``debug: {step: poll}``) into an
:class:`ExpectedExit` with plain field checks, each with the span of the text that asked for it.
The comparison needs to know nothing of the language, and can name the line that broke. Of what a
scenario has by the dozen the records are tuples, which are made in a third of the time.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from vcpu_scenario.case import Reaction
from vcpu_scenario.source import Span


class Check(NamedTuple):
    """``field`` of the exit, masked with ``mask`` if given, must equal ``value``.

    Where the trace has a field in hexadecimal, ``value`` is bytes, and as many of the field's
    first bytes must equal it; a list in the trace must equal a tuple as a whole.

    ``field`` is ``exit``, ``ret``, ``errno``, ``pc`` or a uAPI field as traces name them
    (``hsr``, ``far``, ``addr``, ``len``, ``is_write``, ``data``, ``type``, ``ndata``, ``iss``,
    ``ipa``, ``nr``, ``flags``); ``written`` is the value as the author wrote it.
    """

    field: str
    value: int | str | bytes | tuple[int, ...]
    written: str
    span: Span
    mask: int | None = None


class RegisterCheck(NamedTuple):
    """The register's value after the exit (not: its change)."""

    reg: str
    value: int
    written: str
    span: Span


class ExpectedExit(NamedTuple):
    """One entry of ``exits:``; ``kind`` is its variant's key (``debug``, ``mmio``, ``any``, ...).

    ``least`` and ``most`` say how often in a row it comes; ``most`` None is without limit.
    """

    kind: str
    checks: tuple[Check, ...]
    regs: tuple[RegisterCheck, ...]
    span: Span
    least: int = 1
    most: int | None = 1
    note: str = ""


class ExpectedStop(Struct, frozen=True):
    """What a debugger attached to the VMM is told: where, and why if the author cares
    (``step``, ``brk``, ``hardware_breakpoint``, ``watchpoint``)."""

    pc: int
    reason: str | None
    regs: tuple[RegisterCheck, ...]
    written: str
    span: Span


class MemoryCheck(Struct, frozen=True):
    addr: int
    data: bytes
    written: str
    span: Span


class EventfdCheck(Struct, frozen=True):
    """``index`` counts the case's ioeventfds from 0; ``device`` is the author's name for it."""

    index: int
    device: str
    count: int
    span: Span


class RingCheck(Struct, frozen=True):
    """The entries of the coalesced ring at the end: (addr, len, data) each."""

    entries: tuple[tuple[int, int, bytes], ...]
    span: Span


class OutputCheck(Struct, frozen=True):
    device: str
    data: bytes
    written: str
    span: Span


class OutputPartsCheck(Struct, frozen=True):
    """Texts that a device has sent one after the other, whatever lies between them."""

    device: str
    parts: tuple[tuple[bytes, Span], ...]


class ListedCheck(Struct, frozen=True):
    """Whether KVM_GET_REG_LIST has the register with this id, which the author calls ``reg``."""

    reg: str
    id: int
    listed: bool
    span: Span


class RegListCheck(Struct, frozen=True):
    """What KVM_GET_REG_LIST gives at the end; ``count`` is None where that does not matter."""

    registers: tuple[ListedCheck, ...]
    count: int | None
    span: Span


class Final(Struct, frozen=True):
    """The state at the end of the run."""

    regs: tuple[RegisterCheck, ...] = ()
    memory: tuple[MemoryCheck, ...] = ()
    eventfds: tuple[EventfdCheck, ...] = ()
    ring: RingCheck | None = None
    outputs: tuple[OutputCheck, ...] = ()
    output_parts: tuple[OutputPartsCheck, ...] = ()
    reg_list: RegListCheck | None = None


class Xfail(Struct, frozen=True):
    """That a clause is known not to hold: why, and where that is being seen to."""

    reason: str
    link: str
    span: Span

    def __str__(self) -> str:
        return f"{self.reason} ({self.link})"


class Acting(NamedTuple):
    """That the VMM does something after exit ``exit``, counted from 0, or before the first KVM_RUN
    if it is -1; ``span`` asks for it, and ``each`` for each of the actions."""

    exit: int
    span: Span
    each: tuple[Span, ...] = ()


class Reacting(Struct, frozen=True):
    """That the VMM does something at exits that fit a pattern; ``span`` asks for it, and ``each``
    for each of the actions."""

    reaction: Reaction
    span: Span
    each: tuple[Span, ...] = ()


class Typing(Struct, frozen=True):
    """That something is typed to the UART ``device`` once it has sent ``after``, behind what was
    waited for before; ``span`` asks for it."""

    device: str
    after: bytes
    span: Span


class Expectation(Struct, frozen=True):
    """One clause of ``expect:``, for one case.

    ``exits`` is None where the clause does not speak of them (only of stops or the final
    state); ``refused`` checks the errno of a kernel that refuses the set-up; with ``xfail`` it is
    a failure that all is as expected, and none that it is not. ``acting``,
    ``reacting`` and ``typing`` are what must be done for the expectation to have been put to the
    test, the first in the order of the exits.
    """

    span: Span
    exits: tuple[ExpectedExit, ...] | None = None
    never: tuple[ExpectedExit, ...] = ()
    stops: tuple[ExpectedStop, ...] | None = None
    final: Final = Final()
    refused: Check | None = None
    about: str = ""
    xfail: Xfail | None = None
    acting: tuple[Acting, ...] = ()
    reacting: tuple[Reacting, ...] = ()
    typing: tuple[Typing, ...] = ()
    always_refused: bool = False
    """No clause of the scenario has a run: what stands behind the action that is refused is never
    done."""
    to_its_end: bool = False
    """Nothing says after how many exits the run may be cut."""
