"""Differences by what would make them: a rule that is known of other releases, or none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Final

from vcpu_scenario.analysis.changes.records import Change, Found
from vcpu_scenario.kernels.rules import RULES
from vcpu_scenario.kernels.table import Kernel, kernel, with_rules
from vcpu_scenario.machine.emulated.machine import EmulatedMachine
from vcpu_scenario.machine.errors import KvmError, NotModelled, Unsupported
from vcpu_scenario.running.causes import run_as
from vcpu_scenario.survey import Answer, Survey
from vcpu_scenario.verdict.traces import compare_traces
from vcpu_scenario.vmm import surveyor

_MOST: Final = 1_000
"""Differences for which rules are tried."""


def changes(found: Iterable[Found], release: str) -> list[Change]:
    """The differences, those that no rule makes first, and those of more cases before others.

    What one rule makes is one change; the rest is grouped by the kind of the first difference.
    """
    differing = [each for each in found if each.state in ("differs", "lost")]
    search = _Search(kernel(release))
    groups: dict[tuple[tuple[str, ...], str], list[Found]] = {}
    for number, each in enumerate(differing):
        rules = search.rules(each) if number < _MOST else ()
        groups.setdefault((rules, "" if rules else each.kind), []).append(each)
    made = [Change(tuple(sorted(alike, key=_size)), rules) for (rules, _), alike in groups.items()]
    return sorted(made, key=lambda change: (bool(change.rules), -len(change.found)))


def _size(found: Found) -> tuple[bool, int]:
    """Scenarios come before random programs, and short code before long."""
    code = 0 if found.case is None else sum(len(load.data) for load in found.case.loads)
    return found.group == "random programs", code


class _Search:
    """Gives and takes each rule; those that made another difference are tried first."""

    def __init__(self, own: Kernel) -> None:
        self._own = own
        self._made: list[str] = []

    def rules(self, found: Found) -> tuple[str, ...]:
        """The rules of which each alone makes the model give what the kernel gave."""
        known = [name for name in self._made if self._makes(name, found)]
        if not known:
            known = [rule.name for rule in RULES if self._makes(rule.name, found)]
            self._made += known
        return tuple(known)

    def _makes(self, name: str, found: Found) -> bool:
        own = kernel(found.model) if found.model else self._own
        other = with_rules(own.name, own.rules ^ {name})
        if found.survey is not None:
            return _answers(other, found.survey) == found.answers
        if found.case is None or found.real is None:
            return False
        try:
            run = run_as(other, found.case)
        except Unsupported:
            return False
        return run.unmodelled is None and compare_traces(run, found.real).same


def _answers(which: Kernel, survey: Survey) -> Sequence[Answer] | None:
    with closing(EmulatedMachine(which)) as machine:
        try:
            return surveyor.do(machine, survey).given
        except (KvmError, NotModelled, Unsupported):
            return None
