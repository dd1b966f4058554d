"""How the exits of a scenario changed from release to release, and what changed them.

Each kernel is run; neighbours of which every exit is the same in every field are a group. Which
rules part a group from the one before it is found by trying: of the rules that the newer kernel
has gained and lost, those are left without which its run would be another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.host.signals import is_interruption
from vcpu_scenario.kernels.release import parse_release
from vcpu_scenario.kernels.rules import RULES
from vcpu_scenario.kernels.table import kernel, with_rules
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.running.causes import run_as
from vcpu_scenario.trace import Trace
from vcpu_scenario.verdict.overrun import up_to_its_last_brk
from vcpu_scenario.verdict.traces import Comparison, compare_traces

if TYPE_CHECKING:
    from vcpu_scenario.language import ScenarioCase

Rules: TypeAlias = frozenset[str]

Run: TypeAlias = Callable[["ScenarioCase", Rules], Trace]
"""Runs a case on its kernel with these rules in the place of the kernel's own."""


class Cause(Struct, frozen=True):
    """A rule that the newer of two kernels has gained, or lost where ``gained`` is false."""

    rule: str
    gained: bool


class Change(Struct, frozen=True):
    """What parts a group from the one before it.

    ``causes`` are the rules without which there would be no such change, first those that make
    the first exit that differs. ``vmm`` says that the scenario's VMM does something else on the
    newer kernels, without which it would be another change or none.
    """

    comparison: Comparison
    causes: tuple[Cause, ...]
    vmm: bool = False


class Group(Struct, frozen=True):
    """Kernels that follow each other and give the same exits; ``case`` is that of the first."""

    kernels: tuple[str, ...]
    case: ScenarioCase
    trace: Trace
    change: Change | None = None


class History(Struct, frozen=True):
    """The groups of one scenario with one VMM and one combination of parameters, oldest first.

    ``left_out`` has each kernel that the machine cannot run the case on, or does not model what
    the case comes to, with why.
    """

    groups: tuple[Group, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def case(self) -> ScenarioCase:
        """A case of the scenario: that on the oldest kernel."""
        return self.groups[0].case


def emulated(case: ScenarioCase, rules: Rules) -> Trace:
    """Run ``case`` on an emulated machine with ``rules``; may raise :class:`Unsupported`."""
    return up_to_its_last_brk(case.case, run_as(with_rules(case.kernel, rules), case.case))


def histories(cases: Iterable[ScenarioCase], run: Run = emulated) -> list[History]:
    """A history for each scenario, combination of parameters, VMM and kind of kernel.

    ``cases`` are those of the kernels to look at. A variant of a release is of another kind than
    the release itself.
    """
    series: dict[tuple[str, str], list[ScenarioCase]] = {}
    for case in cases:
        name, _, place = case.id.rpartition("@")
        vmm = place.partition("/")[2]
        series.setdefault((f"{name}/{vmm}", parse_release(case.kernel).kind), []).append(case)
    found = (_history(_comparable(each), run) for each in series.values())
    return [history for history in found if history.groups]


def _comparable(cases: Sequence[ScenarioCase]) -> list[ScenarioCase]:
    """The cases so that their runs can be compared: each clause ends its run where its exits end
    and looks at its own registers; here all run as long as the longest and look at the same."""
    expecting = [each.case for each in cases if each.expectation is not None]
    own = expecting or [each.case for each in cases]
    exits = max(case.limits.exits for case in own)
    observe = tuple(dict.fromkeys(reg for case in own for reg in case.observe))
    peek = tuple(dict.fromkeys(place for case in own for place in case.peek))
    final = tuple(dict.fromkeys(reg for case in own for reg in case.final_regs))
    return [
        replace(
            each,
            case=replace(
                each.case,
                limits=replace(each.case.limits, exits=exits),
                observe=observe,
                peek=peek,
                final_regs=final,
            ),
        )
        for each in sorted(cases, key=lambda each: parse_release(each.kernel))
    ]


def _history(cases: Sequence[ScenarioCase], run: Run) -> History:
    groups: list[Group] = []
    left_out: list[tuple[str, str]] = []
    for case in cases:
        try:
            trace = run(case, kernel(case.kernel).rules)
        except Unsupported as unsupported:
            left_out.append((case.kernel, str(unsupported)))
            continue
        if trace.unmodelled is not None:
            left_out.append((case.kernel, str(trace.unmodelled)))
            continue
        if not groups:
            groups.append(Group((case.kernel,), case, trace))
            continue
        last = groups[-1]
        comparison = compare_traces(last.trace, trace)
        if comparison.same:
            groups[-1] = replace(last, kernels=(*last.kernels, case.kernel))
        else:
            change = _change(last, case, comparison, run)
            groups.append(Group((case.kernel,), case, trace, change))
    return History(tuple(groups), tuple(left_out))


_ORDER: Final[Mapping[str, int]] = {rule.name: place for place, rule in enumerate(RULES)}


def _change(before: Group, case: ScenarioCase, comparison: Comparison, run: Run) -> Change:
    old, new = kernel(before.kernels[-1]).rules, kernel(case.kernel).rules
    changed = sorted(old ^ new, key=lambda name: (name in old, _ORDER.get(name, 0), name))
    with_all = tried(run, case, new)
    needed = list(changed)
    for name in changed:
        without = frozenset(needed) - {name}
        if with_all is not None and _agree(tried(run, case, old ^ without), with_all):
            needed.remove(name)
    causes = sorted(needed, key=lambda name: not _makes_the_first(name, before, comparison, run))
    told = tuple(Cause(name, name in new) for name in causes)
    other_vmm = before.case.case != case.case
    if other_vmm and with_all is not None:
        other_vmm = not _agree(tried(run, before.case, new), with_all)
    return Change(comparison, told, other_vmm)


def _makes_the_first(name: str, before: Group, comparison: Comparison, run: Run) -> bool:
    """Whether the rule alone makes the first exit differ that differs."""
    rules = kernel(before.kernels[-1]).rules
    alone = tried(run, before.case, rules ^ {name})
    if alone is None:
        return False
    differences = compare_traces(before.trace, alone).differences
    return bool(differences) and differences[0].exits == comparison.differences[0].exits


def tried(run: Run, case: ScenarioCase, rules: Rules) -> Trace | None:
    """The run under rules that no kernel has together; None where they make no machine."""
    try:
        trace = run(case, rules)
    except Exception as error:  # whatever it is that such a machine runs into
        if is_interruption(error):
            raise
        return None
    return None if trace.unmodelled is not None else trace


def _agree(one: Trace | None, other: Trace) -> bool:
    return one is not None and compare_traces(one, other).same
