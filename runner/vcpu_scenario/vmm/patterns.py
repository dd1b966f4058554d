"""Which exits a pattern fits, and what a VMM does at them as they come.

Standard library and records only: the lab's guest has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, field

from vcpu_scenario.case import Action, ExitPattern, FieldPattern, Reaction
from vcpu_scenario.trace import Exit

_ABSENT_IS_ZERO: Final = frozenset({"errno", "flags", "hsr_high"})
"""Fields that traces leave out where they are 0."""


def field_of(exit_: Exit, name: str) -> Any:
    """The field called ``name`` as checks name fields; None where the exit has none."""
    head = _HEAD.get(name)
    if head is not None:
        return head(exit_)
    return exit_.fields.get(name, 0 if name in _ABSENT_IS_ZERO else None)


_HEAD: Final[Mapping[str, Callable[[Exit], Any]]] = {
    "exit": lambda exit_: exit_.exit,
    "ret": lambda exit_: exit_.ret,
    "errno": lambda exit_: exit_.errno,
    "pc": lambda exit_: exit_.pc,
}


def is_value(found: Any, wanted: int | str | bytes | tuple[int, ...], mask: int | None) -> bool:
    """Whether ``found`` is the value of a field that is asked for: the first bytes of it, a list
    as a whole, or the bits of ``mask``."""
    if isinstance(wanted, bytes):
        return isinstance(found, str) and bytes.fromhex(found)[: len(wanted)] == wanted
    if isinstance(wanted, tuple):
        return isinstance(found, Sequence) and tuple(found) == wanted
    if mask is not None and isinstance(found, int) and isinstance(wanted, int):
        return (found ^ wanted) & mask == 0
    return bool(found == wanted)


def fits(pattern: ExitPattern, exit_: Exit, state: Mapping[str, int]) -> bool:
    """Whether ``pattern`` fits an exit after which the observed registers are ``state``."""
    return (
        (exit_.ret == 0 or pattern.failing)
        and all(
            is_value(field_of(exit_, one.field), _value(one), one.mask) for one in pattern.fields
        )
        and all(state.get(reg) == value for reg, value in pattern.regs)
    )


def _value(wanted: FieldPattern) -> int | str | bytes | tuple[int, ...]:
    forms = (wanted.number, wanted.text, wanted.data, wanted.words)
    return next(form for form in forms if form is not None)


class Reactions(Struct):
    """The reactions of a case, and how often the exits so far have fitted each of them."""

    reactions: Sequence[Reaction]
    fitted: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fitted = [0] * len(self.reactions)

    def at(self, exit_: Exit, state: Mapping[str, int]) -> tuple[Action, ...]:
        """What is done after the exit that comes next."""
        due = self.due(exit_, state)
        return tuple(action for number in due for action in self.reactions[number].actions)

    def due(self, exit_: Exit, state: Mapping[str, int]) -> list[int]:
        """The numbers of those that are done after the exit that comes next."""
        due = []
        for number, reaction in enumerate(self.reactions):
            if fits(reaction.pattern, exit_, state):
                self.fitted[number] += 1
                if reaction.nth in (0, self.fitted[number]):
                    due.append(number)
        return due
