"""The entries of ``exits:`` in a draft: exits that repeat are one, with what the VMM did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from msgspec import Struct

from vcpu_scenario.actions.guestdebug import guest_debug_entry
from vcpu_scenario.field.exits import body
from vcpu_scenario.field.records import Seen
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.language.notation import Decimal, flow

_ENDING: Final = frozenset({"error", "interrupted", "system_event"})
"""Exits that end a run where the VMM does nothing after them."""


class Item(Struct, frozen=True):
    """``kind`` is the variant, ``body`` what it says, ``then`` what the VMM did; ``inside`` is what
    KVM did by itself before the first of ``times`` such exits."""

    kind: str
    body: Mapping[str, Any]
    times: int
    then: Mapping[str, Any]
    inside: tuple[tuple[str, int], ...]


def items_of(
    exits: Sequence[Seen], debugging: Mapping[int, GuestDebug], *, vcpus: bool
) -> Iterator[Item]:
    """Those of ``exits``; ``debugging`` has what was asked of guest debug before which of them.
    With ``vcpus`` each says whose it is."""

    def said_of(seen: Seen) -> tuple[str, dict[str, Any]]:
        kind, said = body(seen)
        return kind, said | {"vcpu": Decimal(seen.vcpu)} if vcpus and seen.vcpu else said

    def alike(each: tuple[int, Seen]) -> tuple[str, str]:
        number, seen = each
        kind, said = said_of(seen)
        alone = number in debugging or number + 1 in debugging or kind in _ENDING
        return kind, f"{number if alone else ''}{said}"

    for (kind, _), run in groupby(enumerate(exits), alike):
        found = list(run)
        after = found[-1][0] + 1
        then: dict[str, Any] = {}
        if after in debugging:
            then = {"debug": guest_debug_entry(debugging[after])}
        elif kind in _ENDING:
            then = {"run_again": True}
        first = found[0][1]
        yield Item(kind, said_of(first)[1], len(found), then, first.inside)


def written(items: Sequence[Item]) -> Iterator[str]:
    """The lines of ``items``. Nothing is done after the last exit of a run."""
    for number, item in enumerate(items, start=1):
        if inside := ", ".join(_counted(*each) for each in item.inside[:8]):
            yield f"# in the kernel before: {inside}"
        said = dict(item.body)
        if item.times > 1:
            said["repeat"] = Decimal(item.times)
        if item.then and number < len(items):
            said["then"] = [item.then]
        yield f"- {item.kind}: {flow(said)}"


def _counted(what: str, count: int) -> str:
    return f"{what} x {count:,}" if count > 1 else what
