"""The report for a browser: one file that holds everything and fetches nothing.

The page is laid out by the scripts in ``assets`` from data that stands in it as JSON: a matrix of
scenarios by kernels, and for each case its ladder, made when somebody looks at it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any, Final

from vcpu_scenario.host.printable import printable
from vcpu_scenario.kernels.release import Release, parse_release
from vcpu_scenario.language.model import ScenarioCase
from vcpu_scenario.report.cite import rules
from vcpu_scenario.report.html_case import case_data, rules_of, shape
from vcpu_scenario.report.styled import plain
from vcpu_scenario.report.text import outcome
from vcpu_scenario.report.text import report as text_report
from vcpu_scenario.verdict.result import Result

_STYLES: Final = ("page.css", "matrix.css", "case.css")
_SCRIPTS: Final = ("dom.js", "cases.js", "matrix.js", "ladder.js", "case.js", "page.js")


def report(results: Sequence[Result], *, note: str = "") -> str:
    """The page, which needs no other file and no network.

    ``note`` says why there are fewer results than were asked for, and stands above all else.
    """
    style = "".join(map(_asset, _STYLES))
    script = f'(() => {{\n"use strict";\n{"".join(map(_asset, _SCRIPTS))}}})();\n'
    counted = outcome(results)
    return _filled(
        _asset("page.html"),
        title=escape(f"vCPU scenarios: {counted}"),
        outcome=escape(counted),
        note=f'<p class="note" role="alert">{escape(printable(note))}</p>' if note else "",
        text=escape(plain(text_report(results, width=100, note=note))),
        data=_embedded(document(results)),
        style=style,
        style_digest=_digest(style),
        script=script,
        script_digest=_digest(script),
    )


def document(results: Sequence[Result]) -> dict[str, Any]:
    """What the page knows.

    ``kernels`` are the columns; a row is [index in ``scenarios``, what its parameters add to its
    name, its VMM, its cells], a cell None or [verdict, index in ``details``, a number that is
    the same for cases of its row with the same exits]. ``rules`` holds all that are named.
    """
    kernels = sorted({result.case.kernel for result in results}, key=_column)
    columns = {kernel: column for column, kernel in enumerate(kernels)}
    scenarios: dict[str, tuple[int, dict[str, Any]]] = {}
    details = _Table()
    rows = []
    for (name, added, vmm), group in _rows(results).items():
        case = group[0].case
        number, _ = scenarios.setdefault(name, (len(scenarios), _scenario(case)))
        cells: list[list[Any] | None] = [None] * len(kernels)
        for result, alike in zip(group, shape(group), strict=True):
            detail = details.index(case_data(result))
            cells[columns[result.case.kernel]] = [result.verdict, detail, alike]
        rows.append([number, added, vmm, cells])
    return {
        "kernels": kernels,
        "scenarios": [scenario for _, scenario in scenarios.values()],
        "rows": rows,
        "details": details.items,
        "rules": _rules(name for result in results for name in rules_of(result)),
    }


def _column(kernel: str) -> tuple[str, Release]:
    """Sorts releases before variants, so that those of a kind stand together."""
    release = parse_release(kernel)
    return release.variant, release


class _Table:
    """Items kept once each, however often they come."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._numbers: dict[str, int] = {}

    def index(self, item: Any) -> int:
        number = self._numbers.setdefault(json.dumps(item), len(self.items))
        if number == len(self.items):
            self.items.append(item)
        return number


def _rows(results: Iterable[Result]) -> dict[tuple[str, str, str], list[Result]]:
    """The results by row: the scenario's name, what its parameters add, the VMM."""
    rows: dict[tuple[str, str, str], list[Result]] = {}
    for result in results:
        case = result.case
        added = case.id.removeprefix(case.scenario.name).rpartition("@")[0]
        rows.setdefault((case.scenario.name, added, case.vmm), []).append(result)
    return rows


def _scenario(case: ScenarioCase) -> dict[str, Any]:
    scenario = case.scenario
    return {
        "name": scenario.name,
        "path": str(scenario.path),
        "title": scenario.title,
        "about": " ".join(scenario.about.split()),
        "tags": list(scenario.tags),
        "origin": list(scenario.origin),
    }


def _rules(names: Iterable[str]) -> dict[str, Any]:
    return {
        name: {
            "summary": rule.summary,
            "evidence": rule.evidence,
            "commits": [[commit.id, commit.subject, commit.first] for commit in rule.commits],
        }
        for name, rule in rules(dict.fromkeys(names))
        if rule is not None
    }


def _embedded(data: Any) -> str:
    # What is in a script ends at the first "</script", whatever it is; `##[` is a command in the
    # logs of some CI services. Neither stands anywhere in JSON but in its strings.
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("##", "\\u0023#")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _filled(template: str, **values: str) -> str:
    parts = template.split("{{")
    out = [parts[0]]
    for part in parts[1:]:
        name, _, rest = part.partition("}}")
        out += [values[name], rest]
    return "".join(out)


@cache
def _asset(name: str) -> str:
    return files("vcpu_scenario.report").joinpath("assets", name).read_text(encoding="utf-8")
