"""A scenario's whole text in the one style, in the form in which its file is kept."""

from __future__ import annotations

from pathlib import Path

from vcpu_scenario.authoring import formatting
from vcpu_scenario.authoring.concrete import Unusual
from vcpu_scenario.host.textfile import TextFile
from vcpu_scenario.source import Diagnostic, InvalidScenario, Span


def formatted(text: str, path: Path, *, merge: bool = False) -> str:
    """``text`` in canonical style with its own BOM and one of its own line ends, with ``merge``
    its clauses merged.

    Raises :class:`vcpu_scenario.source.InvalidScenario` where it has none.
    """
    try:
        file = TextFile(text)
        fresh = formatting.formatted(file.text, path)
        if merge:
            from vcpu_scenario.authoring.merging.merge import merged

            fresh = formatting.formatted(merged(fresh, path), path)
        return file.in_one_form(fresh)
    except Unusual as unusual:
        start = Span(str(path), 1, 1, 1, 1)
        fault = Diagnostic(f"cannot format: the file has {unusual}", start)
        raise InvalidScenario([fault]) from None
