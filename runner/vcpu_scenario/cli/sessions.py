"""``scenario record --format vmm``: what a VMM that the lab carries tells a debugger, kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vcpu_scenario.cli.interrupt import UntilAsked
from vcpu_scenario.cli.loading import count
from vcpu_scenario.cli.machines import failing, selection_for
from vcpu_scenario.cli.nothing import none_selected
from vcpu_scenario.cli.output import complain, destination
from vcpu_scenario.cli.status import Status
from vcpu_scenario.cli.stops import cases_to_step
from vcpu_scenario.course import Recorded
from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.printable import json_text, printable

if TYPE_CHECKING:
    from vcpu_scenario.language import Scenario, ScenarioCase
    from vcpu_scenario.recordings.sessions import Session
    from vcpu_scenario.running.select import Selection
    from vcpu_scenario.running.targets import Target

_DEFAULT = ("qemu",)


def sessions(
    scenarios: Sequence[Scenario],
    selection: Selection,
    target: Target,
    vmms: Sequence[str],
    output: str | None,
    cpu: str,
) -> Status:
    """One session for each case and VMM, in one document; what a VMM cannot be is told of and left
    out."""
    from vcpu_scenario.recordings.sessions import document

    if not target.carries:
        raise UsageError(f"{target.name} carries no VMM; --machine lab:6.12 does")
    for vmm in vmms:
        if vmm not in target.carries:
            raise UsageError(f"--vmm: a lab carries {' and '.join(target.carries)}, not `{vmm}`")
    cases = cases_to_step(scenarios, selection_for(target, selection))
    if not cases:
        return none_selected(scenarios, selection)
    with destination(output) as to:
        asked = [(case, vmm) for vmm in dict.fromkeys(vmms or _DEFAULT) for case in cases]
        made: list[Session] = []
        with UntilAsked(asked) as to_do:
            made.extend(_sessions(to_do, target))
        release = target.itself if made else ""
        to.write(json_text(document(made, target.kernel or "", release, cpu)))
    left_out = len(asked) - to_do.left - len(made)
    complain(f"{count(len(made), 'session')} recorded on {target.name}, {left_out} left out")
    if to_do.left:
        complain(f"interrupted: {to_do.left} of {count(len(asked), 'session')} were not recorded")
        return Status.INTERRUPTED
    return Status.OK if made else Status.NOTHING_SELECTED


def _sessions(asked: UntilAsked[tuple[ScenarioCase, str]], target: Target) -> Iterator[Session]:
    from vcpu_scenario.recordings.sessions import Session

    for case, vmm in asked:
        with failing():
            found = target.record(case.case, vmm)
        name = case.id.partition("@")[0]
        if isinstance(found, Recorded):
            yield Session(name, case.case, found)
        else:
            complain(f"{printable(name)}: {vmm}: {found.reason}")
