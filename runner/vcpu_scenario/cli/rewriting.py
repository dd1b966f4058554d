"""Commands that write scenarios anew in another form, or tell what would change."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct, field

from vcpu_scenario.cli.difference import difference
from vcpu_scenario.cli.loading import count, tell
from vcpu_scenario.cli.nothing import NO_SCENARIO
from vcpu_scenario.cli.output import cannot_write, complain, say
from vcpu_scenario.cli.status import Status
from vcpu_scenario.host.printable import printable
from vcpu_scenario.running.each import done_for_each
from vcpu_scenario.running.paths import find
from vcpu_scenario.source import Diagnostic, InvalidScenario

STDIN = "-"


class Form(NamedTuple):
    """A form that a command gives to scenarios."""

    command: str
    of: Callable[[str, Path], str]
    """The text of a file in this form, BOM and line ends and all; raises
    :class:`vcpu_scenario.source.InvalidScenario`."""
    not_so: str
    """What a file is that is not in this form."""
    nothing: str
    """What there is to do where all of them are."""


def rewrite(paths: Sequence[str], form: Form, *, check: bool, diff: bool) -> Status:
    """Gives every scenario the form; with ``check`` or ``diff`` changes nothing, tells what would
    change, and fails if anything would. ``-`` is standard input, written to standard output."""
    if list(paths) == [STDIN]:
        return _stdin(form, check, diff)
    files = [file for file, _ in find(paths, complain)]
    if not files:
        complain(NO_SCENARIO)
        return Status.NOTHING_SELECTED
    work = _Work(form, dry=check or diff, diff=diff)
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


class _Work(Struct):
    form: Form
    dry: bool
    diff: bool
    changed: int = 0
    faults: list[Diagnostic] = field(default_factory=list)

    def outcome(self, path: Path) -> _Outcome:
        """What the file would become; changes nothing."""
        from vcpu_scenario.language.loader import read_written

        try:
            before = read_written(path)
            after = self.form.of(before, path)
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
            complain(f"{printable(path)}: {self.form.not_so}")
        else:
            _write(path, outcome.after)
            say(f"{printable(path)}\n")

    def summary(self, files: int) -> Status:
        if not self.dry:
            say(f"{count(files, 'scenario')}, {count(self.changed, 'file')} changed\n")
        elif self.changed:
            complain(f"`scenario {self.form.command}` would change {count(self.changed, 'file')}")
        elif not self.faults:
            say(f"{count(files, 'scenario')}: {self.form.nothing}\n")
        if self.faults:
            return Status.USAGE
        return Status.MISMATCH if self.dry and self.changed else Status.OK


def _stdin(form: Form, check: bool, diff: bool) -> Status:
    path = Path("<stdin>")
    before = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    try:
        after = form.of(before, path)
    except InvalidScenario as invalid:
        tell(invalid.diagnostics)
        return Status.USAGE
    if not (check or diff):
        say(after, raw=True)
        return Status.OK
    if diff:
        say(difference(before, after, printable(path)))
    elif after != before:
        complain(f"{printable(path)}: {form.not_so}")
    return Status.MISMATCH if after != before else Status.OK


def _write(path: Path, text: str) -> None:
    from vcpu_scenario.host.writing import write_whole

    try:
        write_whole(path, text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise cannot_write(path, error) from None
