"""Where a key belongs that stands where it is not known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vcpu_scenario.language.nodes import Entries, Scalar
from vcpu_scenario.language.shapes import Shape
from vcpu_scenario.source import quoted

_MOST: Final = 3


def home_of(key: Scalar, beside: Entries, shape: Shape, root: Shape) -> str:
    """What to do about a key that ``shape`` does not know; empty where nothing near knows it.

    ``beside`` are the entries among which it stands: one that knows it is the one that is meant.
    """
    name, value = key.text, next(value for other, value in beside if other is key)
    present = {other.text for other, _ in beside}
    below = [
        (above, place)
        for above, place, known in _below(shape)
        if name in known.properties and known.properties[name].is_type(value)
    ]
    # Of many places that know it, none is the one that is meant more than another.
    found = [place for above, place in below if above in present] or [place for _, place in below]
    if 0 < len(found) <= _MOST:
        return f"{quoted(name)} belongs into {' or '.join(found)}: indent it further"
    if name in root.properties and any(shape is known for _, _, known in _below(root)):
        return f"{quoted(name)} is a key of the scenario itself: it is not indented"
    return ""


def _below(shape: Shape) -> Iterator[tuple[str, str, Shape]]:
    """Each key with what stands under it, and what that is called."""
    for name, below in shape.properties.items():
        if below.items is not None:
            yield name, f"an item of {quoted(name)}", below.items
        elif isinstance(below.further, Shape):
            yield name, f"an entry of {quoted(name)}", below.further
        yield name, quoted(name), below
