"""An errno as a scenario writes it."""

from __future__ import annotations

from vcpu_scenario.kvm.errnos import ERRNOS
from vcpu_scenario.language.nodes import Node, Scalar
from vcpu_scenario.language.scope import Scope
from vcpu_scenario.source import quoted


def read_errno(node: Node, scope: Scope) -> int:
    """An errno by name or number."""
    name = node.text if isinstance(node, Scalar) else ""
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
