"""What the author of a scenario says in comments, to be said again where the same is done in C."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Final

from vcpu_scenario.language.loader import read_text
from vcpu_scenario.source import InvalidScenario, Span, split_lines

_BEHIND: Final = re.compile(r"(?:^|[\s}\])]*\s)#\s?(.*)$")
_ABOVE: Final = re.compile(r"^\s*#\s?(.*)$")


class Remarks:
    """The comments of one scenario; none are found in a file that is gone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _lines(self) -> list[str]:
        try:
            return list(split_lines(read_text(self._path)))
        except InvalidScenario:
            return []

    def of(self, span: Span) -> str:
        """The comment above the text at ``span`` and that behind it, empty if there is none."""
        above: list[str] = []
        for number in range(span.line - 2, -1, -1):
            found = _ABOVE.match(self._line(number))
            if found is None:
                break
            above.insert(0, found[1])
        behind = _BEHIND.match(self._line(span.end_line - 1)[span.end_column - 1 :])
        return " ".join([*above, *([behind[1]] if behind else [])]).strip()

    def _line(self, number: int) -> str:
        return self._lines[number] if 0 <= number < len(self._lines) else ""
