"""One entry of ``exits:`` while its checks are gathered."""

from __future__ import annotations

from msgspec import Struct, field

from vcpu_scenario.expectation import Check
from vcpu_scenario.language.actions import Doings
from vcpu_scenario.language.nodes import Map, Node, Scalar
from vcpu_scenario.language.scope import Scope
from vcpu_scenario.source import quoted


class Variant(Struct):
    """One entry of ``exits:`` while its checks are gathered."""

    key: Scalar
    body: Map
    doings: Doings
    whole: bool = True
    """It says all that such an entry has to; a pattern need not."""
    checks: list[Check] = field(default_factory=list)

    @property
    def scope(self) -> Scope:
        return self.doings.scope

    def check(
        self,
        name: str,
        value: int | str | bytes | tuple[int, ...],
        at: Node,
        mask: int | None = None,
    ) -> None:
        written = at.text.strip() if isinstance(at, Scalar) else ""
        self.checks.append(Check(name, value, written, at.span, mask))

    def word(self, key: str, name: str = "", bits: int = 64) -> None:
        """Checks that a field is the number under ``key``, if there is one."""
        if (node := self.body.get(key)) is not None:
            self.check(name or key, self.scope.word(node, bits), node)

    def address(self, key: str, name: str = "") -> None:
        if (node := self.body.get(key)) is not None:
            self.check(name or key, self.scope.address(node), node)

    def only_with(self, keys: tuple[str, ...], other: str) -> None:
        """Reports each of ``keys`` that stands here without ``other``."""
        if self.body.get(other) is not None or self.body.faulty:
            return
        for name in keys:
            if (key := self.body.key(name)) is not None:
                self.scope.problems.add(
                    f"{quoted(name)} only goes with {quoted(other)}",
                    key.span,
                    expected=f"a key {quoted(other)} beside it",
                )

    def one_of(self, keys: tuple[str, ...], least: int) -> Scalar | None:
        """The only one of ``keys`` that is there; reports more than one, or fewer than least."""
        present = [key for key, _ in self.body.entries if key.text in keys]
        least = least if self.whole else 0
        if len(present) > 1 or (len(present) < least and not self.body.faulty):
            self.scope.problems.add(
                f"{quoted(self.key.text)} has {'exactly' if least else 'at most'} one of "
                + ", ".join(keys),
                present[1].span if len(present) > 1 else self.key.span,
                found=", ".join(key.text for key in present) or "none of them",
                help="" if present else "`any: {exit: MMIO}` is one of either kind",
            )
        return present[0] if present else None
