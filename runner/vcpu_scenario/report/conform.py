"""The report on recorded traces: how many each kernel's machine reproduces, and each miss."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from vcpu_scenario.case import Case
from vcpu_scenario.host.printable import json_text
from vcpu_scenario.kernels.release import parse_release
from vcpu_scenario.recordings.conform import Difference, Outcome, summary
from vcpu_scenario.report.cite import Citations
from vcpu_scenario.report.styled import Line, line, rule
from vcpu_scenario.verdict.guest import Guest
from vcpu_scenario.verdict.words import describe, value_words

_HEAD: Final = ("kernel", "total", "exact", "host interrupt", "misses")


def document(outcomes: Sequence[Outcome], *, not_run: int = 0) -> str:
    """:func:`vcpu_scenario.recordings.conform.summary` as JSON; ``not_run``: what an interrupt
    left."""
    found = summary(_by_kernel(outcomes))
    if not_run:
        found["not_run"] = not_run
    return json_text(found)


def report(
    outcomes: Sequence[Outcome],
    case_of: Callable[[str, str], Case],
    *,
    seconds: float | None = None,
    width: int = 80,
    note: str = "",
) -> list[Line]:
    """Every line of the report.

    ``case_of`` gives the case of a job by file and name; ``seconds`` is how long the run took,
    left out if None; ``note`` says why there are fewer outcomes than were asked for.
    """
    lines = list(_table(outcomes))
    helped = [outcome for outcome in outcomes if outcome.host_interrupt is not None]
    if helped:
        lines += [line(), rule("WITH A HOST INTERRUPT", "skip", width)]
        lines += [line(_helped(outcome)) for outcome in helped]
    missed = [outcome for outcome in outcomes if not outcome.reproduced]
    if missed:
        lines += [line(), rule("MISSES", "fail", width)]
        citations = Citations()
        for group in _alike(missed):
            lines += _miss(group, case_of, citations)
    lines.append(line())
    if note:
        lines.append(line((note, "skip")))
    time = f" in {seconds:.2f}s" if seconds is not None else ""
    counts = f"{len(outcomes) - len(missed)} reproduced, {len(missed)} missed"
    lines.append(rule(f"{counts}{time}", "fail" if missed else "pass", width))
    return lines


def _by_kernel(outcomes: Iterable[Outcome]) -> list[Outcome]:
    return sorted(outcomes, key=lambda outcome: parse_release(outcome.kernel))


def _table(outcomes: Iterable[Outcome]) -> Iterator[Line]:
    kernels: Mapping[str, Mapping[str, Any]] = summary(_by_kernel(outcomes))["kernels"]
    column = max(map(len, ("kernel", *kernels)))
    yield line((f"{_HEAD[0]:<{column}}  {'  '.join(_HEAD[1:])}", "title"))
    for name, entry in kernels.items():
        helped, missed = len(entry["with_host_interrupt"]), len(entry["misses"])
        numbers = (entry["total"], entry["exact"], helped or "", missed or "")
        cells = [f"{number:>{len(head)}}" for head, number in zip(_HEAD[1:], numbers, strict=True)]
        yield line(f"{name:<{column}}  {'  '.join(cells[:-1])}  ", (cells[-1], "fail"))


def _helped(outcome: Outcome) -> str:
    index = outcome.host_interrupt
    when = "before the first exit" if index == -1 else f"after exit {index}"
    return f"{outcome.path}: {outcome.job} on {outcome.kernel}, {when}"


def _alike(missed: Iterable[Outcome]) -> Iterator[list[Outcome]]:
    """Misses of one job that are the same on several kernels."""
    groups: dict[object, list[Outcome]] = {}
    for outcome in missed:
        difference = json.dumps(outcome.difference and outcome.difference.to_json())
        key = (outcome.path, outcome.job, difference, outcome.error)
        groups.setdefault(key, []).append(outcome)
    yield from groups.values()


def _miss(
    group: Sequence[Outcome], case_of: Callable[[str, str], Case], citations: Citations
) -> Iterator[Line]:
    first = group[0]
    kernels = ", ".join(outcome.kernel for outcome in group)
    yield line()
    yield line(f"{first.path}: ", (first.job, "fail"), f" on {kernels}")
    if first.error:
        yield line(f"  {first.error}")
    elif first.difference is not None:
        yield from _explained(first.difference, Guest(case_of(first.path, first.job), {}))
        for name, words in citations.of(first.difference.rules):
            yield line("  rule: ", (name, "rule"), f": {words}" if words else "")


def _explained(difference: Difference, guest: Guest) -> Iterator[Line]:
    expected, found = difference.expected, difference.found
    if difference.exit is None:
        yield line(f"  {difference.at}")
        yield line(f"    recorded  {_plain(expected)}")
        yield line(f"    found     {_plain(found)}")
        return
    fields = ", ".join(difference.fields)
    yield line(f"  {difference.at}{f': {fields}' if fields else ''}")
    yield line(f"    recorded  {_exit_words(expected, guest)}")
    yield line(f"    found     {_exit_words(found, guest)}")
    for name in difference.fields:
        yield from _field(name, expected.get(name), found.get(name), guest)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return _ring(value)
    return "no refusal" if value is None else str(value)


def _ring(ring: Mapping[str, Any]) -> str:
    entries = [f"{entry['addr']:#x} {entry['len']} {entry['data']}" for entry in ring["entries"]]
    return f"first {ring['first']}, last {ring['last']}: {', '.join(entries) or 'nothing'}"


def _exit_words(exit_: Mapping[str, Any] | None, guest: Guest) -> str:
    if exit_ is None:
        return "no more exits"
    place = guest.place(exit_["pc"])
    return describe(exit_, guest.name) + (f": {place.instruction}" if place.word else "")


def _field(name: str, expected: Any, found: Any, guest: Guest) -> Iterator[Line]:
    if name != "regs":
        yield line(f"    {name}: recorded {_value(name, expected, guest)}")
        yield line(f"    {'':{len(name)}}  found    {_value(name, found, guest)}")
        return
    for reg in {**expected, **found}:
        if expected.get(reg) != found.get(reg):
            one, other = expected.get(reg), found.get(reg)
            yield line(f"    {reg}: recorded {_register(one)}")
            yield line(f"    {'':{len(reg)}}  found    {_register(other)}")


def _value(name: str, value: Any, guest: Guest) -> str:
    return "no such field" if value is None else value_words(name, value, guest.name)


def _register(value: int | None) -> str:
    return "no change" if value is None else f"{value:#x}"
