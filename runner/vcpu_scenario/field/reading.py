"""Reads a trace from a file, which may be a stranger's, and tells of which kind it is."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Final, TypeAlias

from vcpu_scenario.field.events import is_of_events, read_events
from vcpu_scenario.field.records import LONGEST, BadTrace, FieldTrace, Line
from vcpu_scenario.field.strace import is_of_strace, read_strace
from vcpu_scenario.host.reading import Unreadable, read_piped
from vcpu_scenario.source import Diagnostic, Span, hold, split_lines

_MOST_BYTES: Final = 64 << 20
_MOST_LINES: Final = 2_000_000
"""An event of KVM takes more than 32 characters."""

_Reader: TypeAlias = Callable[[str, list[str]], FieldTrace]
_KINDS: Final[tuple[tuple[Callable[[str], bool], _Reader], ...]] = (
    (is_of_events, read_events),
    (is_of_strace, read_strace),
)


def read_trace(path: str) -> FieldTrace:
    """What the trace in ``path`` shows, ``-`` for standard input; raises :class:`BadTrace`."""
    name, path = path, "<stdin>" if path == "-" else path
    try:
        raw = read_piped(name, _MOST_BYTES)
    except Unreadable as fault:
        raise BadTrace(Diagnostic(str(fault), Span(path, 1, 1, 1, 1), help=fault.help)) from None
    lines = _lines(path, raw)
    hold(path, lines)
    for is_of, read in _KINDS:
        if any(is_of(text) for text in lines):
            found = read(path, lines)
            if not found.exits:
                raise Line(path, 1, lines[0]).bad(
                    f"it has no exit: no {_ENDS[found.source]} in it", help=_HOW
                )
            return found
    raise Line(path, 1, lines[0]).bad("no trace of KVM", expected=_EXPECTED, help=_HOW)


_ENDS: Final = {"KVM's tracepoints": "kvm_userspace_exit", "strace": "KVM_RUN that returned"}
_EXPECTED: Final = "lines of ftrace, trace-cmd report, perf script or strace"
_HOW: Final = (
    "`trace-cmd record -e kvm` and `trace-cmd report`, or `strace -f -e trace=ioctl -e kvm=vcpu`"
)


def _lines(path: str, raw: bytes) -> list[str]:
    if b"\0" in raw:
        number = raw.count(b"\n", 0, raw.index(b"\0")) + 1
        what = "it is binary: trace.dat is read by `trace-cmd report`, perf.data by `perf script`"
        raise Line(path, number, "").bad("not text", help=what)
    lines = split_lines(raw.decode("utf-8-sig", "replace"), _MOST_LINES)
    if len(lines) > _MOST_LINES:
        what = f"it has more than {_MOST_LINES:,} lines"
        raise Line(path, _MOST_LINES + 1, "").bad(what, help="import a part of it")
    for number, text in enumerate(lines, start=1):
        if len(text) > LONGEST:
            shown = "".join(islice(text, 80))
            raise Line(path, number, shown).bad(f"a line of {len(text):,} characters")
    return lines
