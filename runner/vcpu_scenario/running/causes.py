"""Why a run on the emulated machine went as it did: the rules without which it would be another.

A rule is a cause if the same case on a machine that lacks it gives another trace, at the first exit
that is another one, or at the end where only the state at the end is. Nothing else is cited: what
the machine's own code knows of its rules is not asked.

Rules that matter only together are found as well: where taking any one of them away changes
nothing, since another has the same effect, and taking all of them away does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from msgspec.structs import replace

from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.kernels.rules import RULES
from vcpu_scenario.kernels.table import CAPABILITY_RULES, Kernel, kernel, with_rules
from vcpu_scenario.machine.emulated.machine import EmulatedMachine
from vcpu_scenario.machine.errors import NotSeenThere, Unsupported
from vcpu_scenario.trace import Ending, Trace
from vcpu_scenario.verdict.records import END, Cause, Kind, Mismatch
from vcpu_scenario.verdict.traces import first_other_exit
from vcpu_scenario.vmm.loop import run_case
from vcpu_scenario.vmm.recorder import Lacked

if TYPE_CHECKING:
    from vcpu_scenario.case import Case
    from vcpu_scenario.language import ScenarioCase
    from vcpu_scenario.verdict.result import Result

Rules: TypeAlias = frozenset[str]

_EXPLAINED: Final = 10_000_000
"""Instructions of a KVM_RUN: to look for causes runs a case dozens of times, which one that takes
longer is not worth."""

_MOST_EXITS: Final = 2_000
"""Exits of such a run, and for the same reason."""

_ORDER: Final[Mapping[str, int]] = {rule.name: place for place, rule in enumerate(RULES)}


def causes(case: Case, kernel_name: str) -> tuple[Cause, ...]:
    """The causes of the run of ``case`` as ``kernel_name``, those of early exits first.

    Raises :class:`~vcpu_scenario.machine.errors.Unsupported` where the machine cannot run it,
    and :class:`~vcpu_scenario.kernels.table.UnknownKernel`.
    """
    own = kernel(kernel_name)
    asked = Asked(own)
    trace = _so_far(asked.kernel, case)
    return _causes(trace, asked.rules, lambda gone: run_without(own, gone, case, trace))


def explained(result: Result, judged: Callable[[ScenarioCase, Trace], Result]) -> Result:
    """``result`` of an emulated run with its causes, and with each mismatch the rules
    behind it; as it is where a KVM_RUN took more than 10,000,000 instructions, where the run has
    more than 2,000 exits, or where a
    console was answered without an exit, which makes of any run one that is long.

    A rule is behind a mismatch if without it the text that the mismatch breaks would hold.
    ``judged`` gives the result of a trace.
    """
    scenario_case = result.case
    exits = () if result.trace is None else result.trace.exits
    if len(exits) > _MOST_EXITS or any(one.console for one in scenario_case.case.devices):
        return result
    case, own = _shortened(scenario_case.case), kernel(scenario_case.kernel)
    runs: dict[Rules, Trace | None] = {}

    asked = Asked(own)
    trace = _so_far(asked.kernel, case)

    def without(gone: Rules) -> Trace | None:
        if gone not in runs:
            runs[gone] = run_without(own, gone, case, trace)
        return runs[gone]

    if case is not scenario_case.case and trace.ended is Ending.INTERRUPTED:
        return result
    found = _causes(trace, asked.rules, without)
    others = {
        rules: judged(scenario_case, other).mismatches
        for rules in (cause.rules for cause in found)
        if (other := without(frozenset(rules))) is not None and _is_known(trace, other)
    }
    mismatches = tuple(
        replace(mismatch, rules=tuple(_behind(mismatch, others))) for mismatch in result.mismatches
    )
    return replace(result, causes=found, mismatches=mismatches)


def _shortened(case: Case) -> Case:
    limits = case.limits
    if limits.instructions <= _EXPLAINED:
        return case
    return replace(case, limits=replace(limits, instructions=_EXPLAINED))


def _behind(
    mismatch: Mismatch, others: Mapping[tuple[str, ...], tuple[Mismatch, ...]]
) -> Iterator[str]:
    for rules, remaining in others.items():
        if not any(_breaks(other, mismatch) for other in remaining):
            yield from rules


def _breaks(other: Mismatch, mismatch: Mismatch) -> bool:
    """Whether ``other`` breaks the text that ``mismatch`` breaks, or the whole around it."""
    if other.kind is Kind.CUT is not mismatch.kind:
        return False  # all that was compared holds
    one, whole = mismatch.span, other.span
    return whole.covers(one) and (
        one != whole or mismatch.kind == other.kind or other.kind.is_absence
    )


def _causes(
    trace: Trace, rules: Iterable[str], without: Callable[[Rules], Trace | None]
) -> tuple[Cause, ...]:
    """``without`` gives the run that lacks some rules, None where there is no such machine."""

    def change(gone: Rules) -> int | None:
        return first_change(trace, without(gone))

    found: list[Cause] = []
    idle: list[str] = []
    for name in sorted(rules, key=lambda name: (_ORDER.get(name, 0), name)):
        other = without(frozenset([name]))
        at = first_change(trace, other)
        if at is not None:
            found.append(Cause((name,), at))
        elif other is not None and _is_known(trace, other):
            idle.append(name)
    found += _eclipsed(idle, change)
    return tuple(sorted(found, key=lambda cause: (cause.exit == END, cause.exit)))


def _eclipsed(idle: list[str], change: Callable[[Rules], int | None]) -> Iterable[Cause]:
    """Rules of ``idle``, none of which alone matters, that matter once all of a group are gone."""
    left = list(idle)
    while len(left) > 1 and change(frozenset(left)) is not None:
        group = list(left)
        for name in left:
            fewer = frozenset(group) - {name}
            if change(fewer) is not None:
                group.remove(name)
        at = change(frozenset(group))
        assert at is not None
        yield Cause(tuple(group), at)
        left = [name for name in left if name not in group]


def first_change(trace: Trace, other: Trace | None) -> int | None:
    """The first exit in which ``other`` is another run, or that comes after a kick in which it is,
    :data:`END`, or None where it is the same.

    No run at all is another one from the start. One that is not modelled to its end is another one
    only where it was before: what such a kernel does then nobody knows.
    """
    if other is None:
        return 0
    at, end = first_other_exit(trace, other), len(trace.exits)
    if not _is_known(trace, other) and at in (None, len(other.exits)):
        return None
    changes = [end if at is None else at, *(entry for entry, _ in {*trace.kicks} ^ {*other.kicks})]
    if (first := min(changes)) < end:
        return first
    return None if trace == other else END


def _is_known(trace: Trace, other: Trace) -> bool:
    """Whether ``other`` ends as a kernel ends it, or where ``trace`` is not modelled any more."""
    return other.unmodelled in (None, trace.unmodelled)


def run_without(own: Kernel, gone: Rules, case: Case, trace: Trace | None = None) -> Trace | None:
    """The run of ``case`` on a kernel that lacks the rules ``gone``, None if it cannot be run.
    Where ``trace``, the run with them, ends at what the kernel lacks, it may do so as well."""
    try:
        run = _so_far(with_rules(own.name, own.rules - gone), case)
    except Unsupported:
        return None
    lacks = run.unmodelled is not None and run.unmodelled.lacks
    return None if lacks and (trace is None or not _is_known(trace, run)) else run


def _so_far(which: Kernel, case: Case) -> Trace:
    """:func:`run_as`, up to what the kernel lacks."""
    try:
        return run_as(which, case)
    except Lacked as reason:
        return reason.so_far
    except NotSeenThere as limit:
        return Trace.never_begun(limit.what)


def run_as(which: Kernel, case: Case) -> Trace:
    """The run of ``case`` on an emulated machine of ``which``."""
    with closing(EmulatedMachine(which)) as machine:
        return run_case(machine, case)


class Asked:
    """A kernel that notes which of its rules a run asks for: no other can be a cause."""

    def __init__(self, own: Kernel) -> None:
        self._own = own
        self._names: set[str] = set()
        behaviour = cast(Behaviour, _Noting(own.behaviour, self._names))
        self.kernel = replace(own, behaviour=behaviour)

    @property
    def rules(self) -> Rules:
        # Capabilities are looked up among the rules' names.
        return self._own.rules & (self._names | set(CAPABILITY_RULES.values()))


class _Noting:
    """Stands in for a :class:`Behaviour`."""

    def __init__(self, behaviour: Behaviour, names: set[str]) -> None:
        self._behaviour = behaviour
        self._names = names

    def __getattr__(self, name: str) -> Any:
        self._names.add(name)
        return getattr(self._behaviour, name)
