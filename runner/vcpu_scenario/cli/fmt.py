"""``scenario fmt``: scenarios in the one style, or what would change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vcpu_scenario.cli.rewriting import Form, rewrite
from vcpu_scenario.cli.status import Status
from vcpu_scenario.host.textfile import TextFile
from vcpu_scenario.source import Diagnostic, InvalidScenario, Span


def fmt(paths: Sequence[str], check: bool, diff: bool, merge: bool = False) -> Status:
    """Formats every scenario in place; with ``check`` or ``diff`` changes nothing, tells what
    would change, and fails if anything would. With ``merge`` clauses that have enough in common
    become one. ``-`` formats standard input to standard output."""
    form = Form(
        "fmt",
        lambda text, path: formatted(text, path, merge=merge),
        "not in the form in which it would be written",
        "nothing to format",
    )
    return rewrite(paths, form, check=check, diff=diff)


def formatted(text: str, path: Path, *, merge: bool = False) -> str:
    """``text`` in canonical style with its own BOM and one of its own line ends, with ``merge``
    its clauses merged.

    Raises :class:`vcpu_scenario.source.InvalidScenario` where it has none.
    """
    from vcpu_scenario.authoring import formatting
    from vcpu_scenario.authoring.concrete import Unusual

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
