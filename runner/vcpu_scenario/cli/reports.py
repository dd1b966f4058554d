"""The reports that a command was asked for: forms of them, and where each goes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Self

from msgspec import Struct

from vcpu_scenario.cli.nothing import NO_CASE
from vcpu_scenario.cli.options import COMMON
from vcpu_scenario.cli.output import Destination, destination
from vcpu_scenario.cli.status import CannotWrite
from vcpu_scenario.errors import UsageError
from vcpu_scenario.running.kept import Kept
from vcpu_scenario.running.shards import Share
from vcpu_scenario.verdict.result import only_skips

STREAMS: Final = frozenset({"text", "github"})
"""Forms that stand well after another on one standard output."""

WITH_TRACES: Final = frozenset({"json", "html"})
"""Forms that tell more of a run than its verdict and its differences."""

NOTHING: Final = NO_CASE
SKIPPED: Final = "nothing was run: every case was skipped"


class Told(Struct, frozen=True):
    """What there is to report: ``note`` says why there are fewer results than were asked for,
    and ``not_run`` how many fewer; ``seconds`` is how long it took, None where nobody knows;
    ``share`` is what a shard knows of the others."""

    results: Kept
    seconds: float | None = None
    note: str = ""
    not_run: int = 0
    share: Share | None = None


class Reports:
    """The reports asked for by ``--format`` and ``--output``, each given any number of times.

    The first form goes to the first file, the second to the second, ``-`` being standard output.
    A single report needs no file, nor do several that are streams. Raises :class:`UsageError`,
    before anything is run, for what does not pair or cannot be written to.
    """

    def __init__(self, formats: Sequence[str], outputs: Sequence[str]) -> None:
        formats = formats or ["text"]
        files = _paired(formats, outputs)
        self._open: list[tuple[str, Destination]] = []
        try:
            for form, file in zip(formats, files, strict=True):
                self._open.append((form, destination(file)))
        except UsageError:
            self.discard()
            raise

    @property
    def in_words(self) -> bool:
        """Whether one of the reports is for who sits at the terminal."""
        return any(form == "text" and not to.to_file for form, to in self._open)

    @property
    def with_traces(self) -> bool:
        """Whether any of the reports needs the results' traces."""
        return any(form in WITH_TRACES for form, _ in self._open)

    def write(self, told: Told) -> None:
        """Writes every report. Raises :class:`CannotWrite` when all others are written."""
        failed: CannotWrite | None = None
        for form, to in self._open:
            try:
                text = _FORMS[form](told, to)
                if text is None:
                    to.discard()
                else:
                    to.write(text)
            except CannotWrite as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.discard()

    def discard(self) -> None:
        """Leaves every file as it was that no report was written to."""
        for _, to in self._open:
            to.discard()


def _paired(formats: Sequence[str], outputs: Sequence[str]) -> list[str | None]:
    if outputs and len(outputs) != len(formats):
        raise UsageError(
            f"{len(formats)} --format and {len(outputs)} --output do not pair: give one --output"
            " for each --format, in the same order (- is standard output)"
        )
    files: list[str | None] = list(outputs) or [None] * len(formats)
    on_stdout = [form for form, file in zip(formats, files, strict=True) if file in (None, "-")]
    if len(on_stdout) > 1 and not STREAMS.issuperset(on_stdout):
        raise UsageError(
            f"{' and '.join(on_stdout)} cannot share standard output: give each --format its"
            " own --output, in the same order"
        )
    named = [os.path.realpath(file) for file in files if file not in (None, "-", os.devnull)]
    if len(set(named)) < len(named):
        raise UsageError("--output: one file cannot hold two reports")
    return files


def _text(told: Told, to: Destination) -> str | None:
    if not told.results:
        return None
    from vcpu_scenario.report.text import report

    lines = report(
        told.results,
        seconds=told.seconds,
        width=to.width,
        debug=COMMON.debug,
        note=_note(told),
    )
    return to.painted(lines)


def _json(told: Told, to: Destination) -> Iterable[str]:
    from vcpu_scenario.report.json import pieces

    shard = None if told.share is None else told.share.to_json(told.results)
    return pieces(told.results, told.results.whole(), not_run=told.not_run, shard=shard)


def _junit(told: Told, to: Destination) -> str:
    from vcpu_scenario.report.junit import report

    return report(told.results, seconds=told.seconds, note=_note(told))


def _ktap(told: Told, to: Destination) -> str:
    from vcpu_scenario.report.ktap import report

    return report(told.results, note=_note(told))


def _html(told: Told, to: Destination) -> Iterable[str]:
    from vcpu_scenario.report.html import pieces

    return pieces(told.results, told.results.whole(), note=_note(told))


def _github(told: Told, to: Destination) -> str:
    from vcpu_scenario.report.github import report, summary

    root = os.environ.get("GITHUB_WORKSPACE", "")
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        _append(path, summary(told.results, note=_note(told), root=root))
    return report(told.results, note=_note(told), root=root)


def _append(path: str, text: str) -> None:
    try:
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        raise CannotWrite(f"cannot write the step's summary {path}: {error.strerror}") from None


def _note(told: Told) -> str:
    # For what reads most of them, a report that is empty or holds nothing but skips is a good one.
    if told.note or not only_skips(told.results):
        return told.note
    return SKIPPED if told.results else NOTHING


_FORMS: Final[Mapping[str, Callable[[Told, Destination], Iterable[str] | None]]] = {
    "text": _text,
    "json": _json,
    "junit": _junit,
    "ktap": _ktap,
    "github": _github,
    "html": _html,
}
FORMATS: Final = tuple(_FORMS)
