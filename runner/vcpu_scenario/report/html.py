"""The report for a browser: one file that holds everything and fetches nothing.

The page is laid out by the scripts in ``assets`` from data that stands in it as JSON: a matrix of
scenarios by kernels, and for each case its ladder, made when somebody looks at it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from vcpu_scenario.host.packed import PackedText
from vcpu_scenario.host.printable import printable
from vcpu_scenario.kernels.release import Release, parse_release
from vcpu_scenario.report.cite import rules
from vcpu_scenario.report.html_case import case_data, digest, rules_of, shape
from vcpu_scenario.report.styled import plain
from vcpu_scenario.report.text import outcome
from vcpu_scenario.report.text import report as text_report
from vcpu_scenario.verdict.result import Result

if TYPE_CHECKING:
    from vcpu_scenario.language.model import Scenario

_STYLES: Final = ("page.css", "matrix.css", "case.css")
_SCRIPTS: Final = ("dom.js", "cases.js", "matrix.js", "ladder.js", "case.js", "page.js")


def report(results: Sequence[Result], *, note: str = "") -> str:
    """The page as one text; see :func:`pieces`."""
    return "".join(pieces(results, results, note=note))


def pieces(results: Sequence[Result], traced: Iterable[Result], *, note: str = "") -> Iterator[str]:
    """The page, which needs no other file and no network, in pieces from top to bottom.

    ``traced`` are the same results again, with their traces, of which one is looked at after
    the other and none is kept. ``note`` says why there are fewer results than were asked for, and
    stands above all else.
    """
    style = "".join(map(_asset, _STYLES))
    script = f'(() => {{\n"use strict";\n{"".join(map(_asset, _SCRIPTS))}}})();\n'
    counted = outcome(results)
    data = Document(traced)
    return _filled(
        _asset("page.html"),
        title=[escape(f"vCPU scenarios: {counted}")],
        outcome=[escape(counted)],
        note=[f'<p class="note" role="alert">{escape(printable(note))}</p>' if note else ""],
        text=[escape(plain(text_report(results, width=100, note=note)))],
        data=data.pieces(),
        style=[style],
        style_digest=[_digest(style)],
        script=[script],
        script_digest=[_digest(script)],
    )


class Document:
    """What the page knows, as JSON.

    ``kernels`` are the columns; a row is [index in ``scenarios``, what its parameters add to its
    name, its VMM, its cells], a cell None or [verdict, index in ``details``, a number that is
    the same for cases of its row with the same exits]. ``rules`` holds all that are named.
    """

    def __init__(self, results: Iterable[Result]) -> None:
        self._scenarios = _Table()
        self._details = _Table()
        self._rows: dict[tuple[str, str, str], _Row] = {}
        self._rules: dict[str, None] = {}
        for result in results:
            self._take(result)

    def _take(self, result: Result) -> None:
        case = result.case
        added = case.id.removeprefix(case.scenario.name).rpartition("@")[0]
        key = case.scenario.name, added, case.vmm
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = _Row(self._scenarios.index(_embedded(_scenario(case.scenario))))
        row.take(result, self._details.index(_embedded(case_data(result))))
        self._rules.update(dict.fromkeys(rules_of(result)))

    def pieces(self) -> Iterator[str]:
        """The JSON text, safe within a script."""
        kernels = sorted({name for row in self._rows.values() for name in row.cells}, key=_column)
        yield f'{{"kernels":{_embedded(kernels)},"scenarios":['
        yield from self._scenarios.items
        yield '],"rows":['
        between = ""
        for (_, added, vmm), row in self._rows.items():
            cells = [row.cells.get(kernel) for kernel in kernels]
            yield between + _embedded([row.scenario, added, vmm, cells])
            between = ","
        yield '],"details":['
        yield from self._details.items
        yield f'],"rules":{_embedded(_cited(self._rules))}}}'


class _Row:
    """The cells of one row, by kernel."""

    __slots__ = ("_shapes", "cells", "scenario")

    def __init__(self, scenario: int) -> None:
        self.scenario = scenario
        self.cells: dict[str, tuple[str, int, int]] = {}
        self._shapes: dict[bytes, int] = {}

    def take(self, result: Result, detail: int) -> None:
        alike = self._shapes.setdefault(shape(result), len(self._shapes))
        self.cells[result.case.kernel] = result.verdict, detail, alike


def document(results: Iterable[Result]) -> Any:
    """:class:`Document` as data."""
    return json.loads("".join(Document(results).pieces()))


def _column(kernel: str) -> tuple[str, Release]:
    """Sorts releases before variants, so that those of a kind stand together."""
    release = parse_release(kernel)
    return release.kind, release


class _Table:
    """Items kept once each, however often they come; ``items`` has them with commas between."""

    def __init__(self) -> None:
        self.items = PackedText()
        self._numbers: dict[bytes, int] = {}

    def index(self, item: str) -> int:
        following = len(self._numbers)
        number = self._numbers.setdefault(digest(item), following)
        if number == following:
            self.items.add(f",{item}" if number else item)
        return number


def _scenario(scenario: Scenario) -> dict[str, Any]:
    return {
        "name": scenario.name,
        "path": str(scenario.path),
        "title": scenario.title,
        "about": " ".join(scenario.about.split()),
        "tags": list(scenario.tags),
        "origin": list(scenario.origin),
    }


def _cited(names: Iterable[str]) -> dict[str, Any]:
    return {
        name: {
            "summary": rule.summary,
            "evidence": rule.evidence,
            "commits": [[commit.id, commit.subject, commit.first] for commit in rule.commits],
        }
        for name, rule in rules(names)
        if rule is not None
    }


def _embedded(data: Any) -> str:
    # What is in a script ends at the first "</script", whatever it is; `##[` is a command in the
    # logs of some CI services. Neither stands anywhere in JSON but in its strings.
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("##", "\\u0023#")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _filled(template: str, **values: Iterable[str]) -> Iterator[str]:
    first, *parts = template.split("{{")
    yield first
    for part in parts:
        name, _, rest = part.partition("}}")
        yield from values[name]
        yield rest


@cache
def _asset(name: str) -> str:
    return files("vcpu_scenario.report").joinpath("assets", name).read_text(encoding="utf-8")
