"""``scenario fmt``: scenarios in the one style, or what would change."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vcpu_scenario.cli.difference import difference
from vcpu_scenario.cli.loading import count, tell
from vcpu_scenario.cli.output import cannot_write, complain, say
from vcpu_scenario.cli.status import Status
from vcpu_scenario.host.printable import printable
from vcpu_scenario.host.textfile import TextFile
from vcpu_scenario.running.select import find
from vcpu_scenario.source import Diagnostic, InvalidScenario, Span

STDIN = "-"


def fmt(paths: Sequence[str], check: bool, diff: bool) -> Status:
    """Formats every scenario in place; with ``check`` or ``diff`` changes nothing, tells what
    would change, and fails if anything would. ``-`` formats standard input to standard output."""
    if list(paths) == [STDIN]:
        return _stdin(check, diff)
    files = [file for file, _ in find(paths)]
    if not files:
        complain("no scenario (*.vcpu.yaml) was found")
        return Status.NOTHING_SELECTED
    work = _Work(dry=check or diff, diff=diff)
    for file in files:
        work.file(file)
    if work.faults:
        tell(work.faults)
    return work.summary(len(files))


@dataclass(slots=True)
class _Work:
    dry: bool
    diff: bool
    changed: int = 0
    faults: list[Diagnostic] = field(default_factory=list)

    def file(self, path: Path) -> None:
        from vcpu_scenario.language.loader import read_written

        try:
            before = read_written(path)
        except InvalidScenario as invalid:
            self.faults += invalid.diagnostics
            return
        after = self.formatted(before, path)
        if after is None or after == before:
            return
        self.changed += 1
        if self.diff:
            say(difference(before, after, printable(path)))
        elif self.dry:
            complain(f"{printable(path)}: not in the form in which it would be written")
        else:
            _write(path, after)
            say(f"{printable(path)}\n")

    def formatted(self, text: str, path: Path) -> str | None:
        """``text`` in canonical style with its own BOM and one of its own line ends; None where
        there is none, with a fault that says why."""
        from vcpu_scenario.authoring.concrete import Unusual
        from vcpu_scenario.authoring.formatting import formatted

        try:
            file = TextFile(text)
            return file.in_one_form(formatted(file.text, path))
        except InvalidScenario as invalid:
            self.faults += invalid.diagnostics
        except Unusual as unusual:
            start = Span(str(path), 1, 1, 1, 1)
            self.faults.append(Diagnostic(f"cannot format: the file has {unusual}", start))
        return None

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


def _stdin(check: bool, diff: bool) -> Status:
    path = Path("<stdin>")
    work = _Work(dry=check or diff, diff=diff)
    before = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    after = work.formatted(before, path)
    if after is None:
        tell(work.faults)
        return Status.USAGE
    if not work.dry:
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
