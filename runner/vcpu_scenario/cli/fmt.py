"""``scenario fmt``: scenarios in the one style, or what would change."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from vcpu_scenario.cli.difference import difference
from vcpu_scenario.cli.loading import count, tell
from vcpu_scenario.cli.output import cannot_write, complain, say
from vcpu_scenario.cli.status import Status
from vcpu_scenario.host.printable import printable
from vcpu_scenario.host.textfile import TextFile
from vcpu_scenario.running.each import done_for_each
from vcpu_scenario.running.select import find
from vcpu_scenario.source import Diagnostic, InvalidScenario, Span

STDIN = "-"


def fmt(paths: Sequence[str], check: bool, diff: bool, merge: bool = False) -> Status:
    """Formats every scenario in place; with ``check`` or ``diff`` changes nothing, tells what
    would change, and fails if anything would. With ``merge`` clauses that have enough in common
    become one. ``-`` formats standard input to standard output."""
    if list(paths) == [STDIN]:
        return _stdin(check, diff, merge)
    files = [file for file, _ in find(paths)]
    if not files:
        complain("no scenario (*.vcpu.yaml) was found")
        return Status.NOTHING_SELECTED
    work = _Work(dry=check or diff, diff=diff, merge=merge)
    with closing(done_for_each(lambda number: work.outcome(files[number]), len(files))) as coming:
        for file, outcome in zip(files, coming, strict=False):
            work.take(file, outcome)
    if work.faults:
        tell(work.faults)
    return work.summary(len(files))


class _Outcome(NamedTuple):
    """What became of a file: its faults, or else its text where that is another, and what there
    is to show of that."""

    faults: tuple[Diagnostic, ...] = ()
    after: str | None = None
    shown: str = ""


@dataclass(slots=True)
class _Work:
    dry: bool
    diff: bool
    merge: bool
    changed: int = 0
    faults: list[Diagnostic] = field(default_factory=list)

    def outcome(self, path: Path) -> _Outcome:
        """What the file would become; changes nothing."""
        from vcpu_scenario.language.loader import read_written

        try:
            before = read_written(path)
            after = formatted(before, path, merge=self.merge)
        except InvalidScenario as invalid:
            return _Outcome(invalid.diagnostics)
        if after == before:
            return _Outcome()
        if self.diff:
            return _Outcome((), "", difference(before, after, printable(path)))
        return _Outcome((), "" if self.dry else after)

    def take(self, path: Path, outcome: _Outcome) -> None:
        """Does with the file what is to be done, and says so."""
        self.faults += outcome.faults
        if outcome.after is None:
            return
        self.changed += 1
        if self.diff:
            say(outcome.shown)
        elif self.dry:
            complain(f"{printable(path)}: not in the form in which it would be written")
        else:
            _write(path, outcome.after)
            say(f"{printable(path)}\n")

    def summary(self, files: int) -> Status:
        if not self.dry:
            say(f"{count(files, 'scenario')}, {count(self.changed, 'file')} changed\n")
        elif self.changed:
            complain(f"`scenario fmt` would change {count(self.changed, 'file')}")
        elif not self.faults:
            say(f"{count(files, 'scenario')}: nothing to format\n")
        if self.faults:
            return Status.USAGE
        return Status.MISMATCH if self.dry and self.changed else Status.OK


def formatted(text: str, path: Path, *, merge: bool = False) -> str:
    """``text`` in canonical style with its own BOM and one of its own line ends, with ``merge``
    its clauses merged.

    Raises :class:`vcpu_scenario.source.InvalidScenario` where it has none.
    """
    from vcpu_scenario.authoring import formatting
    from vcpu_scenario.authoring.concrete import Unusual

    try:
        file = TextFile(text)
        fresh = formatting.formatted(file.text, path)
        if merge:
            from vcpu_scenario.authoring.merging.merge import merged

            fresh = formatting.formatted(merged(fresh, path), path)
        return file.in_one_form(fresh)
    except Unusual as unusual:
        start = Span(str(path), 1, 1, 1, 1)
        fault = Diagnostic(f"cannot format: the file has {unusual}", start)
        raise InvalidScenario([fault]) from None


def _stdin(check: bool, diff: bool, merge: bool) -> Status:
    path = Path("<stdin>")
    before = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    try:
        after = formatted(before, path, merge=merge)
    except InvalidScenario as invalid:
        tell(invalid.diagnostics)
        return Status.USAGE
    if not (check or diff):
        say(after, raw=True)
        return Status.OK
    if diff:
        say(difference(before, after, printable(path)))
    elif after != before:
        complain(f"{printable(path)}: not in the form in which it would be written")
    return Status.MISMATCH if after != before else Status.OK


def _write(path: Path, text: str) -> None:
    from vcpu_scenario.host.writing import write_whole

    try:
        write_whole(path, text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise cannot_write(path, error) from None
