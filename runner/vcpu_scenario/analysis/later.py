"""What a release does not do yet: on which later one a run goes another way, and which rule it is.

An old kernel's fault is often the want of a rule, which no exit can cite. So the case is run on
the releases after its own until one takes another way, and of what that one has gained each rule
is taken away again: without a rule that matters, the way is the old one, or a third.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.analysis.history import Rules, Run, emulated, tried
from vcpu_scenario.kernels.release import KNOWN_RELEASES, parse_release
from vcpu_scenario.kernels.rules import RULES
from vcpu_scenario.kernels.table import kernel
from vcpu_scenario.trace import Exit, Trace

if TYPE_CHECKING:
    from vcpu_scenario.language import ScenarioCase


class NotYet(Struct, frozen=True):
    """Exit number ``exit`` is another one from ``kernel`` on, because of ``rules``."""

    exit: int
    kernel: str
    rules: tuple[str, ...]


def not_yet(
    case: ScenarioCase,
    trace: Trace,
    run: Run = emulated,
    fields: Collection[tuple[int, str]] = (),
) -> NotYet | None:
    """Where the first later release that goes another way than ``trace`` leaves it, and why.

    What is in the fields of an exit is no matter of the way; where no release goes another,
    that of ``fields``, the number of an exit and the name of one, is looked at as well. None where
    it is the same too, or is another not by a rule that the release has gained.
    """

    @cache
    def run_as(name: str, rules: Rules) -> Trace | None:
        return tried(run, replace(case, kernel=name), rules)

    ways = _other_way(case.kernel, trace, run_as, ())
    return ways or (_other_way(case.kernel, trace, run_as, fields) if fields else None)


def _other_way(
    kernel_name: str,
    trace: Trace,
    run_as: Callable[[str, Rules], Trace | None],
    fields: Collection[tuple[int, str]],
) -> NotYet | None:
    def seen(at: int, exit_: Exit) -> tuple[object, ...]:
        values = [exit_.fields.get(name) for number, name in fields if number == at]
        return exit_.exit, exit_.ret, exit_.errno, exit_.pc, values

    def is_another(other: Trace | None, at: int, exit_: Exit) -> bool:
        if other is None:
            return False
        return at >= len(other.exits) or seen(at, other.exits[at]) != seen(at, exit_)

    own = kernel(kernel_name).rules
    for name in later_releases(kernel_name):
        rules = kernel(name).rules
        other = run_as(name, rules)
        pairs = enumerate(zip(trace.exits, other.exits, strict=False) if other else ())
        at = next((n for n, (here, there) in pairs if seen(n, here) != seen(n, there)), None)
        if other is None or at is None:
            continue
        found = other.exits[at]
        causes = tuple(
            rule.name
            for rule in RULES
            if rule.name in rules - own and is_another(run_as(name, rules - {rule.name}), at, found)
        )
        return NotYet(at, name, causes) if causes else None
    return None


def later_releases(name: str) -> list[str]:
    """The releases of the table after the one called ``name``, of the same kind."""
    own = parse_release(name)
    return [
        f"{each}{own.kind}" for each in KNOWN_RELEASES if parse_release(each).numbers > own.numbers
    ]
