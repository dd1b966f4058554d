"""``strace -e trace=ioctl`` of a VMM: each KVM_RUN, and with ``-e kvm=vcpu`` how it ended.

Lines may begin with a process id and a time, and a call that another thread interrupts is told in
two lines, ``<unfinished ...>`` and ``<... ioctl resumed>``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from vcpu_scenario.field.records import LONGEST, Debugging, FieldTrace, Line
from vcpu_scenario.field.run import EINTR, Runs
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.errnos import ERRNOS

SOURCE: Final = "strace"

_LINE: Final = re.compile(
    r"(?:\[pid\s+(?P<bracketed>\d{1,10})\]\s+|(?P<pid>\d{1,10})\s+)?"
    r"(?:[\d:.]{6,24}\s+)?"
    r"(?P<call>ioctl\(|<\.\.\. ioctl resumed>)(?P<rest>.*)\Z"
)
_RUN: Final = re.compile(r"(?P<fd>\d{1,10})(?:<[^>]*>)?, KVM_RUN\b")
_DEBUG: Final = re.compile(r"(?P<fd>\d{1,10})(?:<[^>]*>)?, KVM_SET_GUEST_DEBUG\b")
_RESULT: Final = re.compile(
    r"=\s*(?P<value>-?\d{1,10}|\?)(?:\s+(?P<errno>E[A-Z0-9]{1,32}))?"
    r"(?:[^()]*\((?P<words>[^()]*)\))?(?:\s+<[\d.]{1,16}>)?\s*\Z"
)
_ENDING: Final = 512
"""Characters at the end of a line that may tell what the call gave."""
_UNFINISHED: Final = "<unfinished ...>"


def is_of_strace(text: str) -> bool:
    """Whether a line is one of an ioctl of KVM."""
    match = _LINE.match(text)
    return match is not None and bool(_RUN.match(match["rest"]))


def read_strace(path: str, lines: Iterable[str]) -> FieldTrace:
    """The exits that ``lines`` show; raises :class:`~vcpu_scenario.field.records.BadTrace`."""
    runs = Runs()
    waiting: dict[str, str] = {}  # thread: what it called that is not finished
    for number, text in enumerate(lines, start=1):
        match = _LINE.match(text)
        if match is None:
            continue
        thread = match["bracketed"] or match["pid"] or ""
        line = Line(path, number, text[match.start("call") :].rstrip(), match.start("call") + 1)
        called = match["rest"]
        if not match["call"].startswith("ioctl"):
            called = waiting.pop(thread, "") + called
            if len(called) > LONGEST:
                raise line.bad(f"a call of {len(called):,} characters")
        if called.rstrip().endswith(_UNFINISHED):
            waiting[thread] = called.rstrip().removesuffix(_UNFINISHED)
            continue
        if _DEBUG.match(called) is not None:
            runs.of(thread).debugging = Debugging(line.span)
        elif _RUN.match(called) is not None:
            _ran(runs, thread, called, line)
    return FieldTrace(path, SOURCE, tuple(runs.exits), runs.vcpus)


def _ran(runs: Runs, thread: str, called: str, line: Line) -> None:
    result = _RESULT.search(called, max(len(called) - _ENDING, 0))
    if result is None:
        raise line.bad("what KVM_RUN gave is not on this line", "= 0, or = -1 EINTR (...)")
    if result["value"] == "?":
        return  # the process ended in it
    if result["errno"] is None:
        runs.ended(thread, line, _exit_name(result["words"], line), 0)
        return
    errno = ERRNOS.get(result["errno"])
    if errno is None:
        raise line.bad(f"KVM_RUN gives no {result['errno']} that is known")
    runs.ended(thread, line, "INTR" if errno == EINTR else "", errno)


def _exit_name(words: str | None, line: Line) -> str:
    """The exit that strace names with ``-e kvm=vcpu``; empty where it names none."""
    if not words:
        return ""
    name = words.removeprefix("KVM_EXIT_")
    if name == words or name not in abi.EXIT_NAMES.values():
        raise line.bad(f"`{words}` is no exit of KVM")
    return name
