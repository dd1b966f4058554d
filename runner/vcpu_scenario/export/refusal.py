"""What no exported program can say."""

from __future__ import annotations


class Unexportable(Exception):
    """A program in C cannot do what the scenario asks for; ``what`` names it and says why."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
