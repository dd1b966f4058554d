"""Two runs of a case side by side: exits aligned, and below each pair what differs in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from vcpu_scenario.report.styled import Line, line
from vcpu_scenario.trace import Exit, Trace
from vcpu_scenario.verdict.traces import Difference, compare_traces
from vcpu_scenario.verdict.words import Name, describe

_GUTTER = 2


def side_by_side(
    titles: tuple[str, str], one: Trace, other: Trace, name: Name = hex, width: int = 100
) -> list[Line]:
    """The lines of both columns under ``titles``, as wide as ``width`` and the words allow.

    ``name`` says what an address is called. A pair that differs is marked ``!``, an exit that
    only one of them has ``<`` or ``>``.
    """
    comparison = compare_traces(one, other)
    first = [_shown(number, exit_, name) for number, exit_ in enumerate(one.exits)]
    second = [_shown(number, exit_, name) for number, exit_ in enumerate(other.exits)]
    half = max([len(text) for text in (titles[0], *first)])
    half = min(half, max(20, width - 2 * _GUTTER - 20))
    of_pair = {
        pair: list(found) for pair, found in groupby(comparison.differences, lambda d: d.exits)
    }
    lines = [line((f"{'':{_GUTTER}}{titles[0]:{half}}{'':{_GUTTER}}{titles[1]}", "title"))]
    for pair in comparison.pairs:
        left = "" if pair[0] is None else first[pair[0]]
        right = "" if pair[1] is None else second[pair[1]]
        differs = of_pair.get(pair, [])
        mark = "<" if pair[1] is None else ">" if pair[0] is None else "!" if differs else " "
        style = "fail" if mark != " " else ""
        text = f"{mark:{_GUTTER}}{left:{half}}{'':{_GUTTER}}{right}".rstrip()
        lines.append(line((text, style)))
        lines += _below(differs, name)
    rest = [found for found in comparison.differences if found.exits == (None, None)]
    lines += [line(("! ", "fail"), (found.words(name), "fail")) for found in rest]
    return lines


def _shown(number: int, exit_: Exit, name: Name) -> str:
    return f"{number:>2} {describe(exit_.to_json(), name)}"


def _below(differences: Sequence[Difference], name: Name) -> Iterator[Line]:
    for found in differences:
        if found.field:
            yield line(("     = ", "dim"), found.words(name).partition(": ")[2])
