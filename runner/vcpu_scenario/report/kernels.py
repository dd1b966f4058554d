"""The table of kernels: what each release brought, and every rule with its source."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from vcpu_scenario.host.printable import json_text
from vcpu_scenario.kernels.release import KNOWN_RELEASES
from vcpu_scenario.kernels.rules import RULES, Rule
from vcpu_scenario.kernels.table import kernel
from vcpu_scenario.report.cite import commit_words
from vcpu_scenario.report.styled import Line, line


def table(width: int = 80) -> list[Line]:
    """The rows, oldest first, each with the rules that it gains and loses; then the rules."""
    return [
        line(("KERNELS", "title"), ", each with what changed since the one above"),
        *_rows(width),
        line(),
        line(("RULES", "title")),
        *(text for rule in RULES for text in _rule(rule, width)),
    ]


def _rows(width: int) -> Iterator[Line]:
    before: frozenset[str] = frozenset()
    order = [rule.name for rule in RULES]
    for name in KNOWN_RELEASES:
        rules = kernel(name).rules
        gained = [f"+{rule}" for rule in order if rule in rules - before]
        lost = [f"-{rule}" for rule in order if rule in before - rules]
        text = " ".join((*gained, *lost)) or "nothing"
        for n, part in enumerate(textwrap.wrap(text, width - 7, break_on_hyphens=False)):
            yield line((f"{name if n == 0 else '':<6} ", "title"), part)
        before = rules


def _rule(rule: Rule, width: int) -> Iterator[Line]:
    yield line()
    yield line((rule.name, "rule"), f"  {', '.join(rule.kernels)}")
    texts = [rule.summary, *map(commit_words, rule.commits), rule.evidence]
    for text in texts:
        for part in textwrap.wrap(text, width - 2, break_on_hyphens=False):
            yield line(f"  {part}")


def document() -> str:
    """The same as JSON: ``{"kernels": {release: [rule, ...]}, "rules": [...]}``."""
    rules: list[dict[str, Any]] = [
        {
            "name": rule.name,
            "kernels": list(rule.kernels),
            "summary": rule.summary,
            "evidence": rule.evidence,
            "commits": [
                {"id": commit.id, "subject": commit.subject, "first": commit.first}
                for commit in rule.commits
            ],
        }
        for rule in RULES
    ]
    order = [rule.name for rule in RULES]
    kernels = {
        name: [rule for rule in order if rule in kernel(name).rules] for name in KNOWN_RELEASES
    }
    return json_text({"kernels": kernels, "rules": rules})
