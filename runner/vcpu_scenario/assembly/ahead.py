"""Codes that will be asked for: assemblers work on the next while one is laid out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from vcpu_scenario.assembly import cache
from vcpu_scenario.assembly.assemble import begin
from vcpu_scenario.assembly.assembled import Assembled
from vcpu_scenario.assembly.process import Call

_AT_ONCE: Final = 2
"""One works while another's code is laid out; more would have nothing to do but wait, and where
many files are loaded there are processes for them already."""


class Ahead:
    """Has assemblers begin with ``sources``, in their order, which are to run at the address
    ``base``."""

    def __init__(self, sources: Iterable[str], base: int) -> None:
        self._base = base
        wanted = dict.fromkeys(sources)
        self._left = deque(wanted if len(wanted) > 1 else ())
        self._begun: dict[tuple[str, int], Call] = {}

    def assemble(self, source: str, base: int) -> Assembled:
        """What :func:`.cache.assemble` returns and raises, also for what was not foreseen."""
        while self._left and len(self._begun) < _AT_ONCE:
            following = self._left.popleft()
            if call := begin(following, self._base):
                self._begun[following, self._base] = call
        return cache.assemble(source, base, self._begun.pop((source, base), None))

    def end(self) -> None:
        """End the assemblers that are still at work."""
        for call in self._begun.values():
            call.end()
