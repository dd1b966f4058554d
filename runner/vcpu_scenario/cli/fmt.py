"""``scenario fmt``: scenarios in the one style, or what would change."""

from __future__ import annotations

from collections.abc import Sequence

from vcpu_scenario.cli.rewriting import Form, rewrite
from vcpu_scenario.cli.status import Status


def fmt(paths: Sequence[str], check: bool, diff: bool, merge: bool = False) -> Status:
    """Formats every scenario in place; with ``check`` or ``diff`` changes nothing, tells what
    would change, and fails if anything would. With ``merge`` clauses that have enough in common
    become one. ``-`` formats standard input to standard output."""
    from vcpu_scenario.authoring.whole import formatted

    form = Form(
        "fmt",
        lambda text, path: formatted(text, path, merge=merge),
        "not in the form in which it would be written",
        "nothing to format",
    )
    return rewrite(paths, form, check=check, diff=diff)
