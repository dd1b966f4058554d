"""What the comparison finds: frozen records, from which every report is made."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

from msgspec import Struct

from vcpu_scenario.source import Span


class Kind(StrEnum):
    """What a mismatch is about; its value is what reports call it."""

    MISSING = "missing"
    EXTRA = "extra"
    OUT_OF_ORDER = "out of order"
    FIELD = "field"
    REGISTER = "register"
    NEVER = "never"
    REFUSED = "refused"
    MISSING_STOP = "missing stop"
    EXTRA_STOP = "extra stop"
    STOP = "stop"
    FINAL_REGISTER = "final register"
    REGISTER_LIST = "register list"
    MEMORY = "memory"
    EVENTFD = "eventfd"
    RING = "ring"
    OUTPUT = "output"
    TOO_LONG = "too long"
    NOT_DONE = "not done"
    UNEXPECTED_PASS = "unexpected pass"
    CUT = "cut"

    __repr__ = str.__repr__

    @property
    def is_absence(self) -> bool:
        """Whether something expected did not come."""
        return self in (Kind.MISSING, Kind.MISSING_STOP)

    @property
    def is_of_stops(self) -> bool:
        """Whether :attr:`Mismatch.exit` counts stops and not exits."""
        return self in (Kind.MISSING_STOP, Kind.EXTRA_STOP, Kind.STOP)

    @property
    def is_final(self) -> bool:
        """Whether it is about the state after the last exit."""
        return self in (
            Kind.FINAL_REGISTER,
            Kind.REGISTER_LIST,
            Kind.MEMORY,
            Kind.EVENTFD,
            Kind.RING,
            Kind.OUTPUT,
        )

    @property
    def is_value(self) -> bool:
        """Whether what was expected came, with another value."""
        return self.is_final or self in (Kind.FIELD, Kind.REGISTER)


class Place(Struct, frozen=True):
    """A place in the guest's code.

    ``name`` is what the author calls it (``poll+4``); ``word`` is the instruction there, None
    where no code is known; ``source`` is the line it was assembled from;
    ``target`` is the name of where it branches to, empty where it does not or that has none.
    """

    pc: int
    name: str
    word: int | None = None
    source: Span | None = None
    target: str = ""

    @property
    def instruction(self) -> str:
        """The instruction disassembled, with the name of where it branches to, empty where no code
        is known."""
        if self.word is None:
            return ""
        # Capstone takes longer to import than a case to run, and most runs need no disassembly.
        from vcpu_scenario.arm64.disassembly import disassemble

        text = disassemble(self.word, self.pc)
        head, hash_, _ = text.rpartition("#0x")
        return f"{head}{self.target}" if self.target and hash_ else text


class Mismatch(Struct, frozen=True):
    """One difference between expectation and reality.

    ``message`` says it in one line. ``span`` is the text of the expectation that it breaks.
    ``exit`` is the index of the exit concerned in the trace (of the stop, for stops), None where
    there is none. ``expected`` and ``found`` are values in words, for kinds that compare a value
    of ``field``. ``rules`` name the rules of the emulated kernel without which the expectation
    would hold. ``notes`` are further lines.
    """

    kind: Kind
    message: str
    span: Span
    exit: int | None = None
    field: str = ""
    expected: str = ""
    found: str = ""
    place: Place | None = None
    rules: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


END: Final = -1
"""In the place of an exit's index: every exit is the same, and the state at the end is another."""


class Cause(Struct, frozen=True):
    """Without ``rules`` the run would be another one from exit number ``exit`` on.

    ``exit`` counts from 0, or is :data:`END`. There is one rule; or several of which each has the
    effect alone, so that the run changes only where all of them are taken away.
    """

    rules: tuple[str, ...]
    exit: int


class StopFinding(Struct, frozen=True):
    """What a debugger's user sees go wrong between two stops.

    ``skipped``: the instruction at ``place`` ran, and no stop showed it. ``twice``: the stop at
    ``place`` was reported again with nothing executed in between. ``stop`` is the index of the
    later of the two stops.
    """

    kind: Literal["skipped", "twice"]
    place: Place
    stop: int
