"""Codes that will be asked for: assemblers work on the next while one is laid out."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable

from vcpu_scenario.assembly import cache
from vcpu_scenario.assembly.assemble import begin
from vcpu_scenario.assembly.assembled import Assembled
from vcpu_scenario.assembly.process import Call


class Ahead:
    """Has as many assemblers as there are processors begin with ``sources``, in their order, which
    are to run at ``base``."""

    def __init__(self, sources: Iterable[str], base: int) -> None:
        self._base = base
        wanted = dict.fromkeys(sources)
        self._left = deque(wanted if len(wanted) > 1 else ())
        self._begun: dict[tuple[str, int], Call] = {}
        self._most = len(os.sched_getaffinity(0))

    def assemble(self, source: str, base: int) -> Assembled:
        """What :func:`.cache.assemble` returns and raises, also for what was not foreseen."""
        while self._left and len(self._begun) < self._most:
            following = self._left.popleft()
            if call := begin(following, self._base):
                self._begun[following, self._base] = call
        return cache.assemble(source, base, self._begun.pop((source, base), None))

    def end(self) -> None:
        """End the assemblers that are still at work."""
        for call in self._begun.values():
            call.end()
