"""``scenario merge``: one report on what was run in several places."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from vcpu_scenario.cli.loading import tell
from vcpu_scenario.cli.output import complain
from vcpu_scenario.cli.reports import NOTHING, SKIPPED, Reports, Told
from vcpu_scenario.cli.run import status_of
from vcpu_scenario.cli.status import Status
from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.printable import printable
from vcpu_scenario.host.reading import Unreadable as NotReadable
from vcpu_scenario.host.reading import read_regular
from vcpu_scenario.report.read import Json, Reader, Unreadable
from vcpu_scenario.running.kept import Kept, pack
from vcpu_scenario.running.merge import Document, Joined, join, read
from vcpu_scenario.running.paths import SUFFIX
from vcpu_scenario.source import InvalidScenario
from vcpu_scenario.verdict.result import Result

_LARGEST: Final = 256 << 20
"""Bytes of a report."""


def merge(files: Sequence[str], formats: Sequence[str], outputs: Sequence[str]) -> Status:
    """Joins the JSON reports in ``files`` into the reports that ``formats`` name.

    A shard that is missing is told of and makes the status that of a run that was interrupted;
    reports that do not belong together are a usage error, and nothing is written.
    """
    with Reports(formats, outputs) as reports:
        documents = [_document(file) for file in files]
        joined = join(documents)
        try:
            results = _results(joined, documents, files)
        except InvalidScenario as invalid:
            tell(invalid.diagnostics)
            complain("\nthe scenarios are needed to tell what was found; nothing was merged")
            return Status.USAGE
        reports.write(Told(results, None, joined.note, joined.not_run))
    status = status_of(results, complete=not joined.not_run)
    if not (results and reports.in_words):
        if joined.note:
            complain(joined.note)
        elif status == Status.NOTHING_SELECTED:
            complain(SKIPPED if results else NOTHING)
    return status


def _document(file: str) -> Document:
    try:
        return read(file, read_regular(Path(file), _LARGEST))
    except NotReadable as error:
        help_ = f"; {error.help}" if error.help else ""
        raise UsageError(f"cannot read {printable(file)}: {error}{help_}") from None


def _results(joined: Joined, documents: Sequence[Document], files: Sequence[str]) -> Kept:
    from vcpu_scenario.language import Scenario, load

    folders = [Path.cwd().resolve(), *(Path(file).resolve().parent for file in files)]

    def within(path: Path) -> Scenario:
        """A report may be a stranger's: no file that it names is opened for it elsewhere."""
        if not path.name.endswith(SUFFIX) or not _is_in(path, folders):
            raise Unreadable(
                f"the report names {printable(path)}, which is no scenario in this folder or in"
                " that of the report"
            )
        return load(path)

    reader = Reader(within)

    def result(case: Json) -> Result:
        try:
            return reader.result(case)
        except Unreadable as error:
            raise UsageError(f"{_where(case, documents)}: {error}") from None

    return Kept(pack(result(case)) for case in joined.cases)


def _where(case: Json, documents: Sequence[Document]) -> str:
    """The report that a case is from, and its place there."""
    places = (
        f"{document.name}: cases[{number}]"
        for document in documents
        for number, one in enumerate(document.cases)
        if one is case
    )
    return next(places, "a report")


def _is_in(path: Path, folders: Sequence[Path]) -> bool:
    try:
        found = path.resolve()
    except (OSError, RuntimeError, ValueError):
        return False
    return any(found.is_relative_to(folder) for folder in folders)
