"""Values by case: a tree of keys and values from the value at each place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from vcpu_scenario.authoring.merging.ranges import Place, Wording
from vcpu_scenario.language.bycase import ELSE
from vcpu_scenario.language.notation import quoted_text

Tree: TypeAlias = "str | tuple[tuple[str, Tree], ...]"
"""A value as it is written, or values by key."""

NOTHING: Final = "null"

VALUE: Final = 0.25
"""What one more value costs who reads an item, in lines."""
ABSENT: Final = 0.75
"""What it costs that a field of an exit is compared in some cases only."""
NESTED: Final = 2.5
"""What it costs that both kernel and VMM matter."""


def choice(values: Mapping[Place, str | None], wording: Wording, *, prose: bool = False) -> Tree:
    """The value by case that is ``values`` at each place. None is no value: in ``prose``, of which
    there may be none, it is left out."""
    if len(set(values.values())) == 1:
        only = next(iter(values.values()))
        return NOTHING if only is None else only
    by_kernel = _split(values, lambda place: place.kernel, lambda place: place.vmm)
    by_vmm = _split(values, lambda place: place.vmm, lambda place: place.kernel)
    found = []
    if len(by_kernel) > 1:
        every = {place.kernel for place in values}
        keys = [", ".join(wording.ranges({p.kernel for p in group}, every)) for group in by_kernel]
        found.append(_tree(keys, by_kernel, wording, prose))
    if len(by_vmm) > 1:
        keys = [", ".join(sorted({p.vmm for p in group})) for group in by_vmm]
        found.append(_tree(keys, by_vmm, wording, prose))
    return min(found, key=lambda tree: len(in_brackets(tree)))


def _split(
    values: Mapping[Place, str | None],
    part: Callable[[Place], object],
    other: Callable[[Place], object],
) -> list[dict[Place, str | None]]:
    """``values`` in groups with the same value for the same ``other``, whatever the ``part``."""
    of_parts: dict[object, dict[Place, str | None]] = {}
    for place in sorted(values):
        of_parts.setdefault(part(place), {})[place] = values[place]
    groups: list[tuple[dict[object, str | None], dict[Place, str | None]]] = []
    for found in of_parts.values():
        signature = {other(place): value for place, value in found.items()}
        for known, places in groups:
            if all(known.get(key, value) == value for key, value in signature.items()):
                known |= signature
                places |= found
                break
        else:
            groups.append((signature, dict(found)))
    return [places for _, places in groups]


def _tree(
    keys: list[str], groups: list[dict[Place, str | None]], wording: Wording, prose: bool
) -> Tree:
    entries = list(zip(keys, groups, strict=True))
    if prose:
        # Whoever reads of a kernel should not have to think which others there are.
        told = (entry for entry in entries if any(entry[1].values()))
        return tuple((key, choice(group, wording, prose=True)) for key, group in told)
    # `else` is for what takes many words, and for the second of two.
    words = [key.count(",") for key in keys]
    if len(keys) > 2 and not any(words):
        return tuple((key, choice(group, wording)) for key, group in entries)
    longest = max(range(len(keys)), key=lambda number: (words[number], len(keys[number]), number))
    others = entries.pop(longest)[1]
    return (
        *((key, choice(group, wording)) for key, group in entries),
        (ELSE, choice(others, wording)),
    )


def in_brackets(tree: Tree) -> str:
    """The value on one line."""
    if isinstance(tree, str):
        return tree
    return f"{{{', '.join(f'{quoted_text(key)}: {in_brackets(below)}' for key, below in tree)}}}"


def in_lines(tree: Tree, indent: str) -> Iterator[str]:
    """What follows the key of a text by case: each case on a line of its own."""
    for key, below in tree if not isinstance(tree, str) else ():
        if isinstance(below, str):
            first, *rest = below.split("\n")
            yield f"{indent}{quoted_text(key)}: {first}"
            yield from (f"{indent}  {line}".rstrip() for line in rest)
        else:
            yield f"{indent}{quoted_text(key)}:"
            yield from in_lines(below, f"{indent}  ")


def effort(tree: Tree) -> float:
    """What it costs a reader, in lines, that a value is by case."""
    if isinstance(tree, str):
        return 0.0
    nested = sum(not isinstance(below, str) for _, below in tree)
    return VALUE * len(tree) + NESTED * nested + sum(effort(below) for _, below in tree)
