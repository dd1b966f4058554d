"""An errno in a scenario."""

from __future__ import annotations

from vcpu_scenario.kvm.errnos import ERRNOS
from vcpu_scenario.language.nodes import Node, Scalar
from vcpu_scenario.language.scope import Scope
from vcpu_scenario.source import quoted


def read_errno(node: Node, scope: Scope) -> int:
    """An errno by name or number; values by case are those of an exit's ``then`` alone, where
    they are one by now."""
    if not isinstance(node, Scalar):
        scope.one_value(node, "errno")
        return 0
    name = node.text
    if name in ERRNOS:
        return ERRNOS[name]
    if name.startswith("E"):
        scope.problems.add(
            f"no errno is called {quoted(name)}",
            node.span,
            expected=", ".join(ERRNOS),
            near=(name, ERRNOS),
        )
        return 0
    return scope.number(node, low=1, high=4095)
