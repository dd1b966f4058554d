"""Somebody who watches a run while it goes on."""

from __future__ import annotations

from typing import Protocol


class Watch(Protocol):
    """``exits`` is counted up at each return of KVM_RUN, those for a console as well."""

    exits: int

    def begins(self) -> None:
        """A run does."""

    def sent(self, byte: int) -> None:
        """A UART was sent a character."""

    def ended(self) -> None:
        """The run has."""
