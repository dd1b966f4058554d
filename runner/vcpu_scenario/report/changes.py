"""What a kernel does otherwise than the model of a release: a table, and each difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from vcpu_scenario.analysis.changes.records import Change, Found
from vcpu_scenario.report.cite import rules
from vcpu_scenario.report.styled import Line, line

_CASES: Final = 6
"""Cases that are named of one kind."""
_STATES: Final = ("same", "differs", "lost", "not compared")


def text(
    kernel: str, release: str, found: Sequence[Found], changes: Sequence[Change]
) -> Iterator[Line]:
    """Every line of it; ``kernel`` is what was asked, ``release`` what the model was."""
    head = f"{kernel} beside the model of {release}"
    yield line((head, "title"), ", whose values come first" if changes else "")
    yield line()
    yield from _table(found)
    for number, change in enumerate(changes, start=1):
        yield line()
        yield from _change(number, change)
    reasons = Counter(each.kind for each in found if each.state == "not compared")
    if reasons:
        yield line()
    for reason, count in reasons.most_common(_CASES):
        yield line((f"not compared: {count} x {reason}", "skip"))
    if len(reasons) > _CASES:
        yield line((f"and for {len(reasons) - _CASES} more reasons", "skip"))
    yield line()
    yield _verdict(kernel, release, found, changes)


def _table(found: Sequence[Found]) -> Iterator[Line]:
    counts: dict[str, Counter[str]] = {}
    for each in found:
        counts.setdefault(each.group, Counter())[each.state] += 1
    width = max((len(group) for group in counts), default=0)
    heads = ("asked", *_STATES)
    yield line((f"{'':{width}}  {'  '.join(heads)}", "dim"))
    for group, states in counts.items():
        numbers = (states.total(), *(states[state] for state in _STATES))
        row = "  ".join(f"{n:>{len(head)}}" for n, head in zip(numbers, heads, strict=True))
        yield line(f"{group:{width}}  {row}")


def _change(number: int, change: Change) -> Iterator[Line]:
    count, first = len(change.found), change.found[0]
    cases = f" ({_of(count, 'case')})"
    if change.rules:
        yield line((f"{number}. as a known rule makes it", "fail"), cases)
    else:
        yield line((f"{number}. as no known rule makes it: {first.kind}", "fail"), cases)
    for name, rule in rules(change.rules):
        yield line("   ", (name, "rule"), "" if rule is None else f": {rule.summary}")
    yield line(f"   {first.name}")
    yield line(f"     {first.first}")
    if others := [each.name for each in change.found[1 : 1 + _CASES]]:
        yield line((f"   also {', '.join(others)}{', ...' if count - 1 > _CASES else ''}", "dim"))


def _verdict(kernel: str, release: str, found: Sequence[Found], changes: Sequence[Change]) -> Line:
    if not changes:
        compared = sum(each.state == "same" for each in found)
        return line((f"no difference in {compared:,} that were compared", "pass"))
    count = sum(len(change.found) for change in changes)
    said = f"{_of(count, 'difference')} of {_of(len(changes), 'kind')}"
    return line((f"{said}: {kernel} is not as {release}", "fail"))


def _of(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
