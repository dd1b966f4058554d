"""What the agent uses of msgspec, out of dataclasses: a guest has the standard library alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

__all__ = ["NODEFAULT", "Struct", "field"]

NODEFAULT: Final = object()


class Struct:
    """A record; ``layout``, such as ``gc``, has no meaning for a dataclass."""

    def __init_subclass__(
        cls, *, frozen: bool = False, eq: bool = True, order: bool = False, **layout: bool
    ) -> None:
        super().__init_subclass__()
        dataclass(frozen=frozen, eq=eq, order=order)(cls)
