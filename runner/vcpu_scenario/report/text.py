"""The report for people, in the manner of pytest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from vcpu_scenario.report.cite import Citations
from vcpu_scenario.report.difference import difference_lines, finding_words
from vcpu_scenario.report.styled import Line, line, rule
from vcpu_scenario.verdict.result import Result, Verdict, tally

_MARKS: Final[dict[Verdict, str]] = {
    Verdict.PASS: ".",
    Verdict.FAIL: "F",
    Verdict.ERROR: "E",
    Verdict.SKIP: "s",
    Verdict.XFAIL: "x",
    Verdict.NOT_MODELLED: "N",
}
_NAMES: Final[dict[Verdict, str]] = {
    Verdict.PASS: "passed",
    Verdict.FAIL: "failed",
    Verdict.ERROR: "errors",
    Verdict.SKIP: "skipped",
    Verdict.XFAIL: "xfailed",
    Verdict.NOT_MODELLED: "not modelled",
}
"""Kinds of mismatch that say nothing of which exits came."""

_WORST_FIRST: Final[tuple[Verdict, ...]] = (
    Verdict.FAIL,
    Verdict.ERROR,
    Verdict.NOT_MODELLED,
    Verdict.PASS,
    Verdict.XFAIL,
    Verdict.SKIP,
)


MOST_DIFFERENCES: Final = 8
"""Differences shown of one case; what follows the first few follows from them."""


def report(
    results: Sequence[Result],
    *,
    seconds: float | None = None,
    width: int = 80,
    debug: bool = False,
    note: str = "",
) -> list[Line]:
    """Every line of the report on ``results``.

    ``seconds`` is how long the run took, left out if None; ``debug`` shows the tracebacks of
    errors; ``note`` says why there are fewer results than were asked for.
    """
    lines = list(_overview(results, width))
    failed = [result for result in results if result.verdict is Verdict.FAIL]
    if failed:
        lines += [line(), rule("DIFFERENCES", "fail", width)]
        for group in alike(failed):
            lines += failure(group)
    errors = [result for result in results if result.verdict is Verdict.ERROR]
    if errors:
        lines += [line(), rule("ERRORS", "error", width)]
        for result in errors:
            lines += _error(result, debug)
    unmodelled = [result for result in results if result.verdict is Verdict.NOT_MODELLED]
    if unmodelled:
        lines += [line(), rule("NOT MODELLED", "not-modelled", width)]
        for group in not_modelled(unmodelled):
            lines += without_model(group)
    lines += _summary(results, width)
    if failed:
        path, kernel = failed[0].case.scenario.path, failed[0].case.kernel
        hint = f"`scenario explain {path} --kernel {kernel}` shows such a run exit by exit"
        lines.append(line((hint, "dim")))
    if note:
        lines.append(line((note, "skip")))
    lines.append(_last_line(results, seconds, width))
    return lines


def _overview(results: Sequence[Result], width: int) -> Iterator[Line]:
    paths = [str(result.case.scenario.path) for result in results]
    column = min(max(map(len, paths), default=0), width - 24)
    for path, group in groupby(results, lambda result: str(result.case.scenario.path)):
        marks = [(_MARKS[result.verdict], result.verdict) for result in group]
        room = max(10, width - max(column, len(path)) - 1)
        for start in range(0, len(marks), room):
            head = path if start == 0 else ""
            yield line(f"{head:<{column}} ", *_runs(marks[start : start + room]))


def _runs(marks: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Marks of one colour together."""
    for style, run in groupby(marks, lambda mark: mark[1]):
        yield "".join(text for text, _ in run), style


def alike(failed: Iterable[Result]) -> Iterator[list[Result]]:
    """Results of one scenario that differ from what is expected in the same way."""
    groups: dict[object, list[Result]] = {}
    for result in failed:
        case = result.case
        key = (
            case.scenario.path,
            case.vmm,
            tuple(sorted(case.params.items())),
            result.mismatches,
            result.findings,
        )
        groups.setdefault(key, []).append(result)
    yield from groups.values()


def failure(group: Sequence[Result]) -> Iterator[Line]:
    """What parts the results of ``group``, which differ alike, from what is expected of them."""
    first = group[0]
    citations = Citations()
    yield line()
    yield line((first.case.scenario.title, "title"))
    others = ", ".join(result.case.kernel for result in group[1:])
    yield line((first.case.id, "fail"), f" and on {others}" if others else "")
    expectation = first.case.expectation
    if expectation is not None and expectation.about:
        yield line((" ".join(expectation.about.split()), "dim"))
    if _cut_matters(first):
        yield line((first.cut, "skip"))
    for finding in first.findings:
        yield line((finding_words(finding), "guest"))
    for mismatch in first.mismatches[:MOST_DIFFERENCES]:
        yield line()
        yield from difference_lines(mismatch, citations)
    more = len(first.mismatches) - MOST_DIFFERENCES
    if more > 0:
        yield line()
        yield line((f"and {more} more difference{'s' if more > 1 else ''}", "dim"))


def _cut_matters(result: Result) -> bool:
    """Whether it has to be told that the run was cut: nothing more was to come where only values
    differ, and a missing exit may say it already."""
    told = any(result.cut in mismatch.notes for mismatch in result.mismatches)
    of_values = all(mismatch.kind.is_value for mismatch in result.mismatches)
    return bool(result.cut) and not told and not of_values


def _error(result: Result, debug: bool) -> Iterator[Line]:
    yield line()
    yield line((result.case.id, "error"))
    yield line(result.reason)
    if debug:
        yield from (line((text, "dim")) for text in result.detail.splitlines())


def not_modelled(results: Iterable[Result]) -> Iterator[list[Result]]:
    """Results of one scenario that the emulated machine left at the same place and thing."""
    groups: dict[object, list[Result]] = {}
    for result in results:
        case = result.case
        parameters = tuple(sorted(case.params.items()))
        key = (case.scenario.path, case.vmm, parameters, result.reason, result.detail)
        groups.setdefault(key, []).append(result)
    yield from groups.values()


def without_model(group: Sequence[Result]) -> Iterator[Line]:
    """What the emulated machine does not model that the results of ``group`` came to."""
    first = group[0]
    others = ", ".join(result.case.kernel for result in group[1:])
    yield line()
    yield line((first.case.scenario.title, "title"))
    yield line((first.case.id, "not-modelled"), f" and on {others}" if others else "")
    yield line(first.reason)
    yield line((first.detail, "dim"))


def _summary(results: Sequence[Result], width: int) -> Iterator[Line]:
    worth_telling = [result for result in results if result.verdict is not Verdict.PASS]
    if not worth_telling:
        return
    yield line()
    yield rule("SUMMARY", "title", width)
    for result in worth_telling:
        if result.verdict is Verdict.FAIL:
            first = result.mismatches[0].message
            yield line(("FAILED", "fail"), f" {result.case.id} - {first}")
        elif result.verdict is Verdict.ERROR:
            yield line(("ERROR", "error"), f" {result.case.id} - {result.reason}")
    yield from _reasons(worth_telling, Verdict.NOT_MODELLED, "NOT MODELLED")
    yield from _reasons(worth_telling, Verdict.XFAIL, "XFAIL")
    yield from _reasons(worth_telling, Verdict.SKIP, "SKIPPED")


def _reasons(results: Iterable[Result], verdict: Verdict, title: str) -> Iterator[Line]:
    """Each reason of a verdict once, with how many cases have it."""
    counts = Counter(result.reason for result in results if result.verdict == verdict)
    for reason, count in counts.items():
        words = reason.removeprefix("not modelled: ") if verdict is Verdict.NOT_MODELLED else reason
        yield line((title, verdict), f" [{count}] {words}")


def _last_line(results: Sequence[Result], seconds: float | None, width: int) -> Line:
    counts = tally(results)
    worst = next((v for v in _WORST_FIRST if counts[v] and v.is_bad), Verdict.PASS)
    time = f" in {seconds:.2f}s" if seconds is not None else ""
    return rule(f"{outcome(results)}{time}", worst, width)


def outcome(results: Sequence[Result]) -> str:
    """How many there are of each verdict, the worst first: ``1 failed, 12 passed``."""
    counts = tally(results)
    told = ", ".join(
        f"{counts[verdict]} {_named(verdict, counts[verdict])}"
        for verdict in _WORST_FIRST
        if counts[verdict]
    )
    return told or "no cases"


def _named(verdict: Verdict, count: int) -> str:
    return "error" if verdict is Verdict.ERROR and count == 1 else _NAMES[verdict]
