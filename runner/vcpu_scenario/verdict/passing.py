"""How a debugger gets past what stops it at the same place again and again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from vcpu_scenario.trace import Exit, Stop, StopReason
from vcpu_scenario.vmm.debugger import reason_of

_STEP: Final = "drop it for one step, `then: [debug: {single_step: true}]`, and set it again"
_PASSING: Final[Mapping[StopReason, str]] = {
    StopReason.WATCHPOINT: f"a watchpoint is hit each time its access is run: {_STEP}",
    StopReason.HARDWARE_BREAKPOINT: (
        f"a breakpoint is hit each time its instruction is reached: {_STEP}"
    ),
    StopReason.BRK: "KVM leaves pc at a BRK: go past it with `then: [skip_instruction: true]`",
}


def past_exit(exits: Sequence[Exit], index: int) -> tuple[str, ...]:
    """A note where exit ``index`` is of what stopped the vCPU there before; none elsewhere."""
    if not index:
        return ()
    before, now = exits[index - 1], exits[index]
    return _note(reason_of(now), before.pc == now.pc and reason_of(before) == reason_of(now))


def past_stop(stops: Sequence[Stop], index: int) -> tuple[str, ...]:
    """The same of what the debugger is told."""
    if not index:
        return ()
    before, now = stops[index - 1], stops[index]
    return _note(now.reason, before.pc == now.pc and before.reason == now.reason)


def _note(reason: StopReason | None, again: bool) -> tuple[str, ...]:
    known = None if reason is None else _PASSING.get(reason)
    return (known,) if again and known else ()
