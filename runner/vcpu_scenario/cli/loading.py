"""Loads the scenarios of a command, or says everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vcpu_scenario.cli.options import COMMON
from vcpu_scenario.cli.output import complain, wants_colour
from vcpu_scenario.running.select import find, load_all
from vcpu_scenario.source import Diagnostic, render

if TYPE_CHECKING:
    from vcpu_scenario.language import Scenario


def scenarios_of(paths: Sequence[str], otherwise: str = "") -> list[Scenario] | None:
    """The scenarios in ``paths``; None where any is invalid, after telling all that is wrong.

    ``otherwise`` is said then: what is not done because of it.
    """
    scenarios, diagnostics = load_all(find(paths or ["."]))
    if not diagnostics:
        return scenarios
    tell(diagnostics)
    files = len({diagnostic.span.file for diagnostic in diagnostics})
    errors = count(len(diagnostics), "error")
    where = count(files, "scenario")
    complain(f"\n{errors} in {where}{f'; {otherwise}' if otherwise else ''}")
    return None


def tell(diagnostics: Sequence[Diagnostic]) -> None:
    colour = wants_colour(COMMON.colour, to_file=False, stream="stderr")
    complain("\n\n".join(render(diagnostic, color=colour) for diagnostic in diagnostics))


def count(number: int, what: str) -> str:
    """``1 case``, ``2 cases``."""
    return f"{number} {what}{'' if number == 1 else 's'}"
