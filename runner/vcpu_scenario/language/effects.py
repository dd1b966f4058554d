"""Whether what the VMM does changes anything: what only KVM's completion of an MMIO access looks at
is nothing behind an exit that leaves none to complete, nor is an eventfd that raises nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from vcpu_scenario.case import Action, Attempt, Case, RunVcpu, SetMmioData, SetRunField
from vcpu_scenario.expectation import ExpectedExit
from vcpu_scenario.ioctls.devices import Irqfd, SignalIrqfd
from vcpu_scenario.language.exits import ReadExit
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.source import Span

_READ: Final[Mapping[str, int | str]] = {"exit": "MMIO", "is_write": 0}
_ACCESS: Final[Mapping[str, int | str]] = {"exit": "MMIO"}

IDLE: Final = "this changes nothing"
_NO_READ: Final = "KVM takes an answer after the exit of a read alone: leave it out"
_NO_ACCESS: Final = "KVM looks at run->mmio after an MMIO exit alone: leave it out"
_NO_IRQFD: Final = "no `irqfd` of this gsi has KVM listen to its eventfd: add one, or leave it out"
WHYS: Final = frozenset((_NO_READ, _NO_ACCESS, _NO_IRQFD))


def idle(
    actions: Sequence[Action],
    each: Sequence[Span],
    exit_: ExpectedExit | None,
    cases: Iterable[Case],
) -> Iterator[tuple[Span, str]]:
    """The text of each action that changes nothing after such an exit, or before there is any, in
    none of the ``cases``, and why. Nothing is known of another vCPU's run once its turn has come,
    nor of a forged exit."""
    forged = {action.field for action in actions if isinstance(action, SetRunField)}
    known = "exit_reason" not in forged
    for action, span in zip(actions, each, strict=False):
        if isinstance(action, RunVcpu):
            known = False
        elif isinstance(action, SignalIrqfd):
            if not any(_listens(case, action.gsi) for case in cases):
                yield span, _NO_IRQFD
        elif known and isinstance(action, SetMmioData):
            if not _may_be(exit_, _ACCESS if forged else _READ):
                yield span, _NO_READ
        elif known and isinstance(action, SetRunField) and not _may_be(exit_, _ACCESS):
            yield span, _NO_ACCESS


def _may_be(exit_: ExpectedExit | None, fields: Mapping[str, int | str]) -> bool:
    if exit_ is None or exit_.kind in ("error", "interrupted"):
        return False  # neither leaves an access in flight
    return all(fields.get(check.field, check.value) == check.value for check in exit_.checks)


def _listens(case: Case, gsi: int) -> bool:
    """Whether KVM ever listens to the eventfd of ``gsi``, or is asked to where it is to refuse."""
    asked = (one.action if isinstance(one, Attempt) else one for one in case.all_actions())
    return any(isinstance(one, Irqfd) and one.gsi == gsi for one in asked)


def check_effects(exits: Iterable[ReadExit], case: Case, problems: Problems) -> None:
    """Reports each action of ``exits`` that changes nothing."""
    for item in exits:
        for span, why in idle(item.actions, item.each, item.expected, (case,)):
            problems.add(IDLE, span, help=why)
