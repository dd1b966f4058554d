"""KVM's tracepoints as ftrace, trace-cmd report and perf script print them: a line for each event.

All three say who, on which CPU, when and what; they differ in what stands between.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from vcpu_scenario.field.records import UNSHOWN, BadTrace, FieldTrace, Line
from vcpu_scenario.field.run import EINTR, Runs
from vcpu_scenario.field.tracepoints import READ, REASON, USERSPACE_EXIT, left_guest
from vcpu_scenario.kvm import abi
from vcpu_scenario.source import Span

SOURCE: Final = "KVM's tracepoints"

_EVENT: Final = re.compile(
    r"\s*+(?P<comm>.{1,64}?)[-\s](?P<pid>\d{1,10})(?:/\d{1,10})?\s+"
    r"(?:\(\s*[\d-]{1,10}\)\s+)?"  # the thread group, with the option record-tgid
    r"\[\d{1,5}\]\s+"
    r"(?:[^\s:]{4,8}\s+)?"  # interrupts off, need resched, ...
    r"\d{1,12}\.\d{1,9}:\s+"
    r"(?:\w{1,64}:)?(?P<name>\w{1,64}):[ \t]*(?P<text>.*)\Z"
)
_LOST: Final = re.compile(r"\s*CPU:?\s*\d+ \[(?:LOST (\d+) EVENTS|EVENTS DROPPED)\]", re.IGNORECASE)

_UNSHOWN: Final = re.compile(
    r"(?:CAN'T FIND FIELD \"\w{1,64}\"|<CANT FIND FIELD \w{1,64}>|\[FAILED TO PARSE\].*)+"
)
"""What trace-cmd's plugin for x86 writes; the newer one continues with the fields of arm64."""
_HOW: Final = "`trace-cmd report -N` leaves out the plugin, made for x86, that hides them"


def is_of_events(text: str) -> bool:
    """Whether a line is one of an event of KVM."""
    match = _EVENT.match(text)
    return match is not None and (match["name"].startswith("kvm_") or match["name"] in READ)


def read_events(path: str, lines: Iterable[str]) -> FieldTrace:
    """The exits that ``lines`` show; raises :class:`~vcpu_scenario.field.records.BadTrace`."""
    runs = Runs()
    lost: list[tuple[Span, str]] = []
    unshown: set[str] = set()
    for number, text in enumerate(lines, start=1):
        event = _EVENT.match(text)
        if event is None:
            if (missing := _LOST.match(text)) is not None:
                count = missing[1] or "some"
                lost.append(
                    (
                        Line(path, number, text).span,
                        f"{count} events were lost here: exits may be missing",
                    )
                )
            continue
        line = Line(path, number, event["text"].rstrip(), event.start("text") + 1)
        thread = event["pid"]
        hidden = _UNSHOWN.match(line.text)
        if hidden is not None:
            try:
                shown = line.text[hidden.end() :]
                _event(
                    runs, thread, event["name"], Line(path, number, shown, line.at + hidden.end())
                )
            except BadTrace:
                if event["name"] not in unshown:
                    unshown.add(event["name"])
                    lost.append((line.span, f"{event['name']} is shown without its fields; {_HOW}"))
                left_guest(runs.of(thread))
        else:
            _event(runs, thread, event["name"], line)
    return FieldTrace(path, SOURCE, tuple(runs.exits), runs.vcpus, tuple(lost))


def _event(runs: Runs, thread: str, name: str, line: Line) -> None:
    if name == USERSPACE_EXIT:
        _userspace_exit(runs, thread, line)
    elif (read := READ.get(name)) is not None:
        read(runs.of(thread), line)


_UNKNOWN: Final = "KVM_EXIT_UNKNOWN"


def _userspace_exit(runs: Runs, thread: str, line: Line) -> None:
    match = REASON.search(line.text)
    if match is None:
        raise line.bad("no kernel prints this event so", expected="reason KVM_EXIT_MMIO (6)")
    word, number = match[1], int(match[2])
    if word in ("restart", "error"):
        runs.ended(thread, line, "INTR" if number == EINTR else "", number)
        return
    if word == _UNKNOWN:
        # What trace-cmd makes of any error: KVM gives no such exit.
        runs.ended(thread, line, "", UNSHOWN)
        return
    name = abi.EXIT_NAMES.get(number)
    if name is None:
        raise line.bad(f"no exit of KVM has the number {number}")
    if name == "INTR":
        # Kernels before 4.15 tell an interrupted run by its exit reason alone.
        runs.ended(thread, line, name, EINTR)
        return
    if name == "SYSTEM_EVENT":
        _note_type(runs, thread, line)
    runs.ended(thread, line, name, 0)


_SYSTEM_OFF: Final = 0x8400_0008
_SYSTEM_RESET: Final = 0x8400_0009
_SYSTEM_SUSPEND: Final = 0x8400_000E
_SYSTEM_RESET2: Final = 0x8400_0012
_BITS_64: Final = 0x4000_0000
_TYPES: Final = {
    _SYSTEM_OFF: abi.KVM_SYSTEM_EVENT_SHUTDOWN,
    _SYSTEM_RESET: abi.KVM_SYSTEM_EVENT_RESET,
    _SYSTEM_RESET2: abi.KVM_SYSTEM_EVENT_RESET,
    _SYSTEM_SUSPEND: abi.KVM_SYSTEM_EVENT_SUSPEND,
}
"""The PSCI calls that make a system event, with or without the bit of SMC64."""


def _note_type(runs: Runs, thread: str, line: Line) -> None:
    run = runs.of(thread)
    if run.hypercall is None:
        return
    kind = _TYPES.get(run.hypercall & 0xFFFF_FFFF & ~_BITS_64)
    if kind is not None:
        run.note("type", kind, line)
