"""Writes what a kernel gave into a scenario's text: a clause for it, all else as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from vcpu_scenario.actions.kind import Unwritable
from vcpu_scenario.authoring.brief import brief, names
from vcpu_scenario.authoring.concrete import Unusual
from vcpu_scenario.authoring.formatting import formatted
from vcpu_scenario.authoring.merging.merge import merged
from vcpu_scenario.case import Case
from vcpu_scenario.kernels.hosts import DEFAULT
from vcpu_scenario.kernels.release import parse_release
from vcpu_scenario.language import yaml12
from vcpu_scenario.language.nodes import Map, Node, Scalar, Sequence, Value, entries_of, value_at
from vcpu_scenario.language.notation import Decimal, flow
from vcpu_scenario.source import InvalidScenario
from vcpu_scenario.trace import Trace


def with_clause(
    text: str,
    path: Path,
    kernel: str,
    case: Case,
    trace: Trace,
    symbols: Mapping[str, int],
    params: Mapping[str, Value] | None = None,
) -> str:
    """``text`` with a clause that expects ``trace`` of ``kernel``.

    ``params`` are the case's parameters, if there is a matrix. The clause takes the place of the
    one that is for this very release and these values, or comes before the others. Raises
    :class:`Unwritable` where the text leaves no place for it.
    """
    params = params or {}
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    node, _ = yaml12.parse(text, str(path))
    place = _place(kernel, node)
    clause = list(_clause(place, params, case, trace, symbols))
    expect = value_at(node, "expect")
    if not isinstance(expect, Sequence) or not expect.items:
        if expect is not None:
            raise Unwritable("`expect:` is empty or no list: take the key out", expect.span.line)
        blank = "" if lines and not lines[-1].strip() else "\n"
        return "".join([*lines, f"{blank}expect:\n", *_indented(clause, 2)])
    starts = [item.span.line - 1 for item in expect.items]
    dashes = [_dash(lines[start]) for start in starts]
    if None in dashes or len(set(starts)) != len(starts):
        raise Unwritable(
            "`expect:` is written in brackets: write it as a list of lines", expect.span.line
        )
    indent = dashes[0] or 0
    for number, item in enumerate(expect.items):
        if _is_for(item, place, params):
            if isinstance(item, Map) and item.get("vmm") is not None:
                what = "a clause for this release and some VMMs only: nothing can stand before it"
                raise Unwritable(what, item.span.line)
            start = starts[number]
            end = item.span.end_line
            if end > start and not lines[end - 1].strip():
                end -= 1
            return "".join(
                [*lines[:start], *_indented(clause, indent), *lines[max(end, start + 1) :]]
            )
    first = starts[0]
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return "".join([*lines[:first], *_indented(clause, indent), *lines[first:]])


def merged_in(text: str, path: Path, kernel: str) -> str:
    """``text`` with its clauses for ``kernel`` alone merged with others where a reader gains by
    it; as it is where there is nothing to merge, or no scenario."""
    try:
        joined = merged(text, path, kernel)
        return text if joined == text else formatted(joined, path)
    except (InvalidScenario, Unusual):
        return text


class _Place(NamedTuple):
    """A release, and the word for its host in a scenario that names hosts."""

    kernel: str
    host: str


def _place(kernel: str, node: Node | None) -> _Place:
    release = parse_release(kernel)
    named = value_at(node, "host")
    if named is None:
        if release.host:
            what = "a scenario that names no hosts is for the default one: write"
            raise Unwritable(f"{what} `host: [default, {release.host.replace('+', ', ')}]`")
        return _Place(str(release), "")
    if not isinstance(named, Sequence) or len(named.items) == 1:  # all of its clauses are for it
        return _Place(str(release.on("")), "")
    if "+" in release.host:
        raise Unwritable(f"a clause is for one host, and {kernel} is several at once")
    return _Place(str(release.on("")), release.host or DEFAULT)


def _is_for(clause: Node, place: _Place, params: Mapping[str, Value]) -> bool:
    """Whether the clause is for this release and these values of parameters, and no others."""
    if not isinstance(clause, Map):
        return False
    kernels, host, when = map(clause.get, ("kernels", "host", "when"))
    at = host.text if isinstance(host, Scalar) else "" if host is None else None
    if at != place.host:
        return False
    entries = entries_of(when)
    values = {key.text: value.value for key, value in entries if isinstance(value, Scalar)}
    alone = len(values) == len(entries)
    return (
        isinstance(kernels, Scalar) and kernels.text == place.kernel and alone and values == params
    )


def _dash(line: str) -> int | None:
    stripped = line.lstrip(" ")
    return len(line) - len(stripped) if stripped.startswith("- ") else None


def _indented(clause: list[str], indent: int) -> Iterator[str]:
    return (f"{' ' * indent}{line}\n" for line in clause)


def _clause(
    place: _Place,
    params: Mapping[str, Value],
    case: Case,
    trace: Trace,
    symbols: Mapping[str, int],
) -> Iterator[str]:
    yield f'- kernels: "{place.kernel}"'
    if place.host:
        yield f"  host: {place.host}"
    if params:
        yield f"  when: {flow(params)}"
    if trace.error is not None:
        if not trace.errno:
            raise Unwritable("a refusal of which the errno is not known")
        yield f"  refused: {{errno: {Decimal(trace.errno)}}}"
        return
    yield "  exits:" if trace.exits else "  exits: []"
    name = names(case, symbols)
    for exit_ in trace.exits:
        kind, body = brief(exit_, name)
        yield f"    - {kind}: {flow(body)}"
