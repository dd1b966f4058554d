"""Scenarios of the language's older forms in its present one: the same text but for the words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from vcpu_scenario.language import schema, yaml12
from vcpu_scenario.language.nodes import Node
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.language.renamed import RENAMED, older_words
from vcpu_scenario.source import Diagnostic, InvalidScenario, Span, line_starts


def migrated(text: str, path: Path) -> str:
    """``text`` with the present name for each key that had another one.

    All else stays as it is: comments, blanks, quotes, and faults that are no older form. Raises
    :class:`vcpu_scenario.source.InvalidScenario` where the text is no YAML, or would not be.
    """
    while True:
        node, faults = yaml12.parse(text, str(path))
        if faults or node is None:
            raise InvalidScenario(faults)
        problems = Problems()
        schema.check(node, problems)
        if problems.said_twice:
            raise InvalidScenario(problems.said_twice)
        # What is under an old key is looked at once the key has its present name.
        if not problems.renamed:
            return with_present_words(text, node)
        text = _renamed(text, {span: (old, RENAMED[old]) for span, old in problems.renamed.items()})


def with_present_words(text: str, node: Node) -> str:
    """``text``, which is read as ``node``, with the present word for each key that version 1 had
    another one for, and keeps."""
    return _renamed(text, older_words(node))


def _renamed(text: str, renamed: Mapping[Span, tuple[str, str]]) -> str:
    starts = line_starts(text)
    for span, (old, new) in sorted(renamed.items(), reverse=True):
        start = starts[span.line - 1] + span.column - 1
        end = starts[span.end_line - 1] + span.end_column - 1
        # Before the key may stand its anchor, after it a quote.
        key = re.search(rf"\b{re.escape(old)}(?=[\"']?\Z)", text[start:end])
        if key is None:
            help = f"write `{new}` as it is"
            raise InvalidScenario(
                [Diagnostic("a key in this form is not migrated", span, help=help)]
            )
        text = text[: start + key.start()] + new + text[start + key.end() :]
    return text
