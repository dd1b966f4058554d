"""What a trace from the field shows: frozen records, each with its place in the trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from msgspec import Struct, field

from vcpu_scenario.source import Diagnostic, Span

LONGEST: Final = 1 << 16
"""Characters of a line, and of a call that is told in several: no tracer writes longer ones."""


class BadTrace(Exception):
    """A file that is no trace that can be read: what is wrong with it, and where."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class Line(NamedTuple):
    """A line of a trace; ``at`` is the column, from 1, at which ``text`` begins in the file."""

    file: str
    number: int
    text: str
    at: int = 1

    @property
    def span(self) -> Span:
        """What is written on it."""
        end = self.at + len(self.text)
        return Span(self.file, self.number, self.at, self.number, max(end, self.at + 1))

    def bad(self, message: str, expected: str = "", help: str = "") -> BadTrace:
        """That it cannot be read, and why."""
        return BadTrace(Diagnostic(message, self.span, expected=expected, help=help))


class Fact(NamedTuple):
    """A value that a trace shows, and the text that shows it."""

    value: int
    span: Span


UNSHOWN: Final = -1
"""The errno of a KVM_RUN that failed where the trace does not tell it."""

Facts: TypeAlias = Mapping[str, Fact]


class Debugging(Struct, frozen=True):
    """A KVM_SET_GUEST_DEBUG.

    ``flags`` are its control flags, None where the trace does not show them; ``breakpoints`` are
    addresses, ``watchpoints`` are (address, bytes, ``r``, ``w`` or ``rw``).
    """

    span: Span
    flags: int | None = None
    breakpoints: tuple[int, ...] = ()
    watchpoints: tuple[tuple[int, int, str], ...] = ()


class Seen(Struct, frozen=True):
    """One return of KVM_RUN.

    ``exit`` is the ``KVM_EXIT_`` name without its prefix, empty where the trace does not tell it;
    ``errno`` is that of a KVM_RUN that failed, :data:`UNSHOWN` where that is all, else 0. ``facts``
    are by the names that traces of a run have (``addr``, ``len``, ``is_write``, ``data``, ``hsr``,
    ``iss``, ``ipa``, ``type``, ``nr``), and by ``entered`` and ``left``: the guest's pc at the
    first entry of the run and at its last exception to KVM. Of ``hsr`` the exception class alone is
    known; ``data`` is a number of ``len`` bytes. ``reply`` is what the VMM answered to a read.
    ``inside`` is what KVM did by itself before the exit, in words, each with how often.
    ``debugging`` is what guest debug was asked for before.
    """

    exit: str
    errno: int
    span: Span
    vcpu: int = 0
    facts: Facts = field(default_factory=dict)
    reply: int | None = None
    inside: tuple[tuple[str, int], ...] = ()
    debugging: Debugging | None = None


class FieldTrace(Struct, frozen=True):
    """All that a trace shows. ``source`` says of what kind it is; ``vcpus`` counts the threads that
    ran a vCPU; ``lost`` has what is missing from it, as it says itself."""

    path: str
    source: str
    exits: tuple[Seen, ...]
    vcpus: int
    lost: tuple[tuple[Span, str], ...] = ()
