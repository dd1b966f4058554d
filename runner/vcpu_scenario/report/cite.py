"""Rules as reports cite them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vcpu_scenario.kernels.rules import Commit, Rule


@cache
def _table() -> dict[str, Rule]:
    from vcpu_scenario.kernels.rules import RULES

    return {rule.name: rule for rule in RULES}


def rules(names: Iterable[str]) -> list[tuple[str, Rule | None]]:
    """Each name with its rule; a machine may name what the table does not have."""
    table = _table()
    return [(name, table.get(name)) for name in names]


def commit_words(commit: Commit) -> str:
    """``26e0aabb38a6 ("KVM: arm64: ...") in 5.13``"""
    return f'{commit.id} ("{commit.subject}") in {commit.first}'


class Citations:
    """Tells what a rule is where it is first named, and only its name from there on."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def of(self, names: Iterable[str]) -> list[tuple[str, str]]:
        """(name, what it does and which commits brought it) for each rule named."""
        out = []
        for name, rule in rules(names):
            out.append((name, "" if rule is None or name in self._told else _words(rule)))
            self._told.add(name)
        return out


def _words(rule: Rule) -> str:
    cited = "; ".join(map(commit_words, rule.commits))
    return ". ".join(part for part in (rule.summary.rstrip("."), cited) if part)
