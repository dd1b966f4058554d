"""Where a run ends at the latest, as a scenario says it."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.case import Limits
from vcpu_scenario.language.nodes import Map, Node, Scalar
from vcpu_scenario.language.scope import Scope
from vcpu_scenario.source import quoted

MAX_EXITS: Final = 100_000
MAX_INSTRUCTIONS: Final = 100_000_000_000
_MAX_SECONDS: Final = 600.0
LIMITS_OF_LINUX: Final = Limits(instructions=10_000_000_000, seconds=300.0)
"""It boots within one KVM_RUN."""


def read_limits(node: Node | None, default: Limits, scope: Scope) -> Limits:
    if not isinstance(node, Map):
        return default

    def count(key: str, otherwise: int, high: int) -> int:
        value = node.get(key)
        return otherwise if value is None else scope.number(value, low=1, high=high)

    return Limits(
        exits=count("exits", default.exits, MAX_EXITS),
        instructions=count("instructions", default.instructions, MAX_INSTRUCTIONS),
        seconds=_seconds(node.get("seconds"), default.seconds, scope),
        repeats=count("repeats", 0, MAX_EXITS) or None,
        stop_on_intr=scope.flag(node.get("stop_on_eintr"), default.stop_on_intr),
        stop_on_event=scope.flag(node.get("stop_on_event"), default.stop_on_event),
    )


def _seconds(node: Node | None, default: float, scope: Scope) -> float:
    if not isinstance(node, Scalar):
        return default
    try:
        value = float(node.text)
    except ValueError:
        value = -1.0
    if 0 < value <= _MAX_SECONDS:
        return value
    scope.problems.add(
        "no number of seconds for a limit",
        node.span,
        found=quoted(node.text),
        expected=f"more than 0, at most {_MAX_SECONDS:g}",
    )
    return default
