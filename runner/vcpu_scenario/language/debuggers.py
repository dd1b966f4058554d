"""Whether each case can have the debugger that its VMM is to have."""

from __future__ import annotations

from vcpu_scenario.ioctls.vm import has_new_vm
from vcpu_scenario.language.clauses import Clause
from vcpu_scenario.language.model import Scenario
from vcpu_scenario.language.nodes import Node
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.vmm.attached import PLAIN


def check_debuggers(scenario: Scenario, vmm: Node | None, problems: Problems) -> None:
    """Reports at ``vmm``, which names the scenario's VMMs, those whose debugger would have what
    none has on any machine: each such case is a skip."""
    if vmm is None or not any(map(_lacks, _clauses(scenario))):
        return
    found: dict[str, dict[str, str]] = {}
    for place in scenario.places():
        if place.vmm != PLAIN and place.clause is not None and (why := _lacks(place.clause)):
            found.setdefault(why, {}).setdefault(place.vmm, place.id)
    for why, ids in found.items():
        problems.add(
            f"no machine runs {why} with a debugger",
            vmm.span,
            found=f"cases with {', '.join(ids)}, such as {next(iter(ids.values()))}",
            help="say `vmm: plain`, or leave that out",
        )


def _clauses(scenario: Scenario) -> list[Clause]:
    each = (variants for one in scenario.combinations for variants in one.clauses if variants)
    return [clause for variants in each for clause in variants.values()]


def _lacks(clause: Clause) -> str:
    """What its run has that no debugger has; a set-up that is refused has no run."""
    case = clause.case
    if clause.expectation.refused is not None:
        return ""
    return "several vCPUs" if case.several else "a new VM" if has_new_vm(case.all_actions()) else ""
