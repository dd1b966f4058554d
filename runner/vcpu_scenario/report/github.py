"""The report for GitHub's actions: annotations at the lines that broke, all else in a summary.

Annotations are workflow commands on standard output, of which a step may give ten errors; the
summary is Markdown for the file that ``GITHUB_STEP_SUMMARY`` names, of one MiB at most.
"""

from __future__ import annotations

import html
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Final, NamedTuple

from msgspec import Struct

from vcpu_scenario.host.printable import printable
from vcpu_scenario.language.model import ScenarioCase
from vcpu_scenario.report.markdown import escaped, fence
from vcpu_scenario.report.styled import plain
from vcpu_scenario.report.text import alike, failure, outcome
from vcpu_scenario.source import Span
from vcpu_scenario.verdict.result import Result, Verdict

MOST_ANNOTATIONS: Final = 10
MOST_BYTES: Final = 1 << 20


class Annotation(Struct, frozen=True):
    """An error shown at ``span``; ``file`` is its file from the repository's root."""

    file: str
    span: Span | None
    title: str
    message: str

    def __str__(self) -> str:
        properties = {"title": self.title}
        if self.span is not None:
            properties = {"file": self.file, **_lines(self.span), **properties}
        told = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
        return f"::error {told}::{_data(self.message)}"


def report(results: Sequence[Result], *, note: str = "", root: str = "") -> str:
    """The workflow commands, a line each; none where all is well.

    ``note`` says why there are fewer results than were asked for, which is an error by itself.
    ``root`` is the folder of the repository, to which paths must be relative; by default the
    current one.
    """
    given = every_annotation(results, note=note, root=root)
    return "".join(f"{annotation}\n" for annotation in given[:MOST_ANNOTATIONS])


def every_annotation(
    results: Sequence[Result], *, note: str = "", root: str = ""
) -> tuple[Annotation, ...]:
    """Every annotation there is to give, the most telling first: one of each failure, then the
    further differences of each."""
    first = [Annotation("", None, "vCPU scenarios", printable(note))] if note else []
    without = _errors(results, root, Verdict.NOT_MODELLED)
    return (*first, *_errors(results, root, Verdict.ERROR), *_differences(results, root), *without)


def _differences(results: Sequence[Result], root: str) -> Iterator[Annotation]:
    groups = alike(result for result in results if result.verdict is Verdict.FAIL)
    ranked = zip_longest(*([(group, found) for found in group[0].mismatches] for group in groups))
    kernels: dict[_Difference, list[str]] = {}
    for group, mismatch in filter(None, chain.from_iterable(ranked)):
        case = group[0].case
        told = (mismatch.message, *mismatch.notes)
        key = _Difference(mismatch.span, case.scenario.title, told, _setting(case))
        kernels.setdefault(key, []).extend(result.case.kernel for result in group)
    for difference, names in kernels.items():
        told = (*difference.told, f"on {', '.join(names)} with {difference.setting}")
        yield Annotation(
            _from_root(difference.span.file, root),
            difference.span,
            printable(difference.title),
            "\n".join(map(printable, told)),
        )


class _Difference(NamedTuple):
    """What kernels have in common that differ at one place in one way."""

    span: Span
    title: str
    told: tuple[str, ...]
    setting: str


def _setting(case: ScenarioCase) -> str:
    values = (f"{name}={value}" for name, value in case.params.items())
    return ", ".join((case.vmm, *values))


def _errors(results: Sequence[Result], root: str, verdict: Verdict) -> Iterator[Annotation]:
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        if result.verdict == verdict:
            key = (str(result.case.scenario.path), result.reason)
            groups.setdefault(key, []).append(result)
    for (path, reason), group in groups.items():
        case = group[0].case
        start = case.expectation.span if case.expectation else Span(path, 1, 1, 1, 1)
        ids = ", ".join(printable(result.case.id) for result in group[:5])
        more = f" and {len(group) - 5} more" if len(group) > 5 else ""
        message = f"{printable(reason)}\n{ids}{more}"
        yield Annotation(_from_root(path, root), start, printable(case.scenario.title), message)


def _from_root(file: str, root: str) -> str:
    path = os.path.relpath(file, root or None)
    return file if path.startswith(os.pardir) else path


def _lines(span: Span) -> dict[str, str]:
    lines = {"line": span.line, "endLine": span.end_line}
    if span.line == span.end_line:
        # Columns are refused where an annotation spans lines.
        lines |= {"col": span.column, "endColumn": span.end_column}
    return {name: str(number) for name, number in lines.items()}


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def summary(results: Sequence[Result], *, note: str = "", root: str = "") -> str:
    """The step's summary: what came of the run, and every difference in full.

    What does not fit into what GitHub takes is counted.
    """
    head = f"## vCPU scenarios: {outcome(results)}\n\n"
    if note:
        head += f"> [!WARNING]\n> {escaped(note)}\n\n"
    left = len(every_annotation(results, note=note, root=root)) - MOST_ANNOTATIONS
    if left > 0:
        head += f"{left} of what is below could not be annotated.\n\n"
    blocks = [*_failed(results), *_failing(results)]
    for verdict, title in _REASONS.items():
        blocks += _reasons(results, verdict, title)
    return head + _fitted(blocks, MOST_BYTES - len(head.encode()))


_REASONS: Final[Mapping[Verdict, str]] = {
    Verdict.NOT_MODELLED: "Not modelled by the emulated machine",
    Verdict.XFAIL: "Known to fail",
    Verdict.SKIP: "Skipped",
}


def _fitted(blocks: Sequence[str], room: int) -> str:
    closing = "\n{} more are left out: GitHub takes no longer summary.\n"
    room -= len(closing) + 20
    kept: list[str] = []
    for number, block in enumerate(blocks):
        room -= len(block.encode())
        if room < 0:
            return "".join(kept) + closing.format(len(blocks) - number)
        kept.append(block)
    return "".join(kept)


def _failed(results: Sequence[Result]) -> Iterator[str]:
    for group in alike(result for result in results if result.verdict is Verdict.FAIL):
        first = group[0]
        others = ", ".join(result.case.kernel for result in group[1:])
        title = f"<code>{_markup(first.case.id)}</code>{f' and on {others}' if others else ''}"
        yield _details(f"❌ {title}", plain(failure(group)).strip("\n"))


def _failing(results: Sequence[Result]) -> Iterator[str]:
    for result in results:
        if result.verdict is Verdict.ERROR:
            title = f"💥 <code>{_markup(result.case.id)}</code>: {_markup(result.reason)}"
            yield _details(title, "\n".join(map(printable, result.detail.splitlines())))


def _details(title: str, text: str) -> str:
    marks = fence(text)
    return f"<details><summary>{title}</summary>\n\n{marks}text\n{text}\n{marks}\n\n</details>\n\n"


def _reasons(results: Sequence[Result], verdict: Verdict, title: str) -> Iterator[str]:
    counts = Counter(result.reason for result in results if result.verdict == verdict)
    if counts:
        yield f"\n### {title}\n\n"
    for reason, count in counts.items():
        yield f"- {count} × {escaped(reason)}\n"


def _markup(text: str) -> str:
    return html.escape(printable(text))
