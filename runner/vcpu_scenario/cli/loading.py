"""Loads the scenarios of a command, or says everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from vcpu_scenario.cli.options import COMMON
from vcpu_scenario.cli.output import complain, wants_colour
from vcpu_scenario.cli.status import InvalidTold
from vcpu_scenario.running.paths import find
from vcpu_scenario.running.project import paths_of_project
from vcpu_scenario.running.select import load_all, made_of
from vcpu_scenario.source import Diagnostic, InvalidScenario, render

if TYPE_CHECKING:
    from vcpu_scenario.language import Scenario

Made = TypeVar("Made")


def scenarios_of(paths: Sequence[str], otherwise: str = "") -> list[Scenario]:
    """The scenarios in ``paths``. Raises :class:`InvalidTold` where any is invalid.

    ``otherwise`` is said then: what is not done because of it.
    """
    scenarios, diagnostics = load_all(find(paths or paths_of_project(), complain))
    _raise_if_any(diagnostics, otherwise)
    return scenarios


def made_of_each(
    paths: Sequence[str], make: Callable[[Scenario], Made], *, strictly: bool = False
) -> list[Made]:
    """What ``make`` gives for each scenario in ``paths``, of which none is kept. Raises
    :class:`InvalidTold` where any is invalid."""
    made: list[Made] = []
    diagnostics: list[Diagnostic] = []
    with closing(
        made_of(find(paths or paths_of_project(), complain), make, strictly=strictly)
    ) as coming:
        for found in coming:
            if isinstance(found, InvalidScenario):
                diagnostics += found.diagnostics
            elif not diagnostics:
                made.append(found)
    _raise_if_any(diagnostics)
    return made


def _raise_if_any(diagnostics: Sequence[Diagnostic], otherwise: str = "") -> None:
    """Tells all that is wrong, and raises where anything is."""
    if not diagnostics:
        return
    tell(diagnostics)
    files = len({diagnostic.span.file for diagnostic in diagnostics})
    errors = count(len(diagnostics), "error")
    where = count(files, "scenario")
    complain(f"\n{errors} in {where}{f'; {otherwise}' if otherwise else ''}")
    raise InvalidTold


def tell(diagnostics: Sequence[Diagnostic]) -> None:
    colour = wants_colour(COMMON.colour, to_file=False, stream="stderr")
    complain("\n\n".join(render(diagnostic, color=colour) for diagnostic in diagnostics))


def count(number: int, what: str) -> str:
    """``1 case``, ``2 cases``."""
    return f"{number} {what}{'' if number == 1 else 's'}"
