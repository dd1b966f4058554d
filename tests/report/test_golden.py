"""What the reports are, word for word."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from vcpu_scenario.report import github, html, junit, ktap
from vcpu_scenario.verdict.result import Result

pytestmark = pytest.mark.slow

NOTE = "interrupted: 3 of 20 cases were not run"

REPORTS: dict[str, Callable[[list[Result]], str]] = {
    "junit.xml": lambda results: junit.report(results, seconds=1.5, note=NOTE),
    "ktap.txt": lambda results: ktap.report(results, note=NOTE),
    "github.txt": lambda results: github.report(results, note=NOTE),
    "github-summary.md": lambda results: github.summary(results, note=NOTE),
    "html.json": lambda results: json.dumps(html.document(results), indent=1) + "\n",
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_what_its_golden_file_says(
    name: str, results: list[Result], golden: Callable[[str, str], None]
) -> None:
    golden(name, REPORTS[name](results))
