"""Whether each case can have the debugger that its VMM is to have."""

from __future__ import annotations

from vcpu_scenario.language.clauses import Clause
from vcpu_scenario.language.model import Scenario
from vcpu_scenario.language.nodes import Node
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.vmm.attached import PLAIN


def check_debuggers(scenario: Scenario, vmm: Node | None, problems: Problems) -> None:
    """Reports at ``vmm``, which names the scenario's VMMs, those whose debugger would have several
    vCPUs: no machine runs that, and each such case is a skip."""
    if vmm is None or not _has_several(scenario):
        return
    found = {
        place.vmm: place.id
        for place in scenario.places()
        if place.vmm != PLAIN and place.clause is not None and _is_several(place.clause)
    }
    if found:
        problems.add(
            "no machine runs several vCPUs with a debugger",
            vmm.span,
            found=f"cases with {', '.join(found)}, such as {next(iter(found.values()))}",
            help="say `vmm: plain`, or have one vCPU",
        )


def _has_several(scenario: Scenario) -> bool:
    each = (variants for one in scenario.combinations for variants in one.clauses if variants)
    return any(_is_several(clause) for variants in each for clause in variants.values())


def _is_several(clause: Clause) -> bool:
    """Whether it has several vCPUs in a run, which a set-up that is refused has not."""
    return clause.expectation.refused is None and clause.case.several
