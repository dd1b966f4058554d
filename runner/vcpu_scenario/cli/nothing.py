"""What is said where a selection leaves nothing of the scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from vcpu_scenario.cli.output import complain
from vcpu_scenario.cli.status import Status
from vcpu_scenario.kernels.release import KNOWN_RELEASES
from vcpu_scenario.running.select import Selection

if TYPE_CHECKING:
    from vcpu_scenario.language import Scenario

NO_SCENARIO = "no scenario (*.vcpu.yaml) was found"
NO_CASE = "no case is selected"
_SHOWN = 6


def none_selected(scenarios: Sequence[Scenario], selection: Selection) -> Status:
    """Tells why ``selection`` leaves nothing of ``scenarios``."""
    complain(nothing(scenarios, selection))
    return Status.NOTHING_SELECTED


def nothing(scenarios: Sequence[Scenario], selection: Selection) -> str:
    """What ``selection`` leaves is nothing: where other kernels would leave something, which the
    scenarios are for."""
    if not scenarios:
        return NO_SCENARIO
    meant = _kernels(scenarios, selection) if selection.kernels else ()
    if not meant:
        return NO_CASE
    are = "the scenario is" if len(scenarios) == 1 else "the scenarios are"
    asked = ", ".join(selection.kernels)
    return f"{NO_CASE}: {are} for {_shown(meant)}, not for {asked}"


def _kernels(scenarios: Sequence[Scenario], selection: Selection) -> tuple[str, ...]:
    """Those on which something would be selected."""
    found: dict[str, None] = {}
    for scenario in scenarios:
        rows = scenario.audience.rows(selection.hosts)
        choice = replace(selection, kernels=rows).choice()
        found.update(dict.fromkeys(place.kernel for place in choice.places(scenario)))
    return tuple(found)


def _shown(names: Sequence[str]) -> str:
    """The kernels, as a range where all of the table between two are there."""
    if not set(names) <= set(KNOWN_RELEASES):
        return ", ".join(names[:_SHOWN]) + ", ..." * (len(names) > _SHOWN)
    known = [name for name in KNOWN_RELEASES if name in set(names)]
    first, last = KNOWN_RELEASES.index(known[0]), KNOWN_RELEASES.index(known[-1])
    if len(known) > 2 and set(KNOWN_RELEASES[first : last + 1]) == set(known):
        return f"{known[0]}..{known[-1]}"
    return ", ".join(known[:_SHOWN]) + ", ..." * (len(known) > _SHOWN)
