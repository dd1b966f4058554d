"""The guest's code as the verdict speaks of it: names, instructions, source lines, paths."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from vcpu_scenario.arm64.branches import successors
from vcpu_scenario.case import Case, Load
from vcpu_scenario.source import Span
from vcpu_scenario.verdict.records import Place


class Guest:
    """Reads a case's memory as it was before the first run.

    ``symbols`` maps labels to addresses, ``lines`` the address of each word to its source line.
    With stage 1 on, an address that is neither identity-mapped nor where an image says that it
    runs has no known code.
    """

    def __init__(
        self, case: Case, symbols: Mapping[str, int], lines: Mapping[int, Span] | None = None
    ) -> None:
        self._loads = tuple(_seen(case.loads))
        self._lines = lines or {}
        self._labels = sorted((addr, name) for name, addr in symbols.items())
        self._addresses = [addr for addr, _ in self._labels]
        self._regions = list(_regions(case))

    def word(self, addr: int) -> int | None:
        """The instruction word at ``addr``, None where nothing was loaded."""
        for start, data in reversed(self._loads):
            offset = addr - start
            if 0 <= offset <= len(data) - 4:
                return int.from_bytes(data[offset : offset + 4], "little")
        return None

    def name(self, addr: int) -> str:
        """``label``, ``label+4``, ``uart+0x18``, or the address itself."""
        index = bisect_right(self._addresses, addr) - 1
        if index >= 0:
            base, label = self._labels[index]
            if self._reaches(base, addr):
                return label if addr == base else f"{label}+{addr - base:#x}"
        for name, base, size in self._regions:
            if 0 <= addr - base < size:
                return name if addr == base else f"{name}+{addr - base:#x}"
        return f"{addr:#x}"

    def _reaches(self, base: int, addr: int) -> bool:
        # A label names what was loaded after it, not whatever lies above it in memory; and an
        # absolute constant among the symbols names nothing.
        return any(start <= base and addr <= start + len(data) for start, data in self._loads)

    def place(self, pc: int) -> Place:
        word = self.word(pc)
        target = "" if word is None else self._target(word, pc)
        return Place(pc, self.name(pc), word, self._lines.get(pc), target)

    def _target(self, word: int, pc: int) -> str:
        """The name of where a direct branch goes."""
        ahead = successors(word, pc)
        if not ahead or ahead[0] == pc + 4:
            return ""
        name = self.name(ahead[0])
        return "" if name == f"{ahead[0]:#x}" else name

    def path(self, start: int, end: int, limit: int = 64) -> tuple[int, ...] | None:
        """The addresses executed on the shortest way from ``start`` up to, without, ``end``.

        None where the code does not lead there within ``limit`` instructions by falling through
        and direct branches: an exception or an indirect branch lies between.
        """
        if start == end:
            return ()
        before: dict[int, int] = {start: start}
        queue = deque([(start, 1)])
        while queue:
            here, length = queue.popleft()
            for successor in self._successors(here):
                if successor == end:
                    return _walk_back(before, here, start)
                if successor not in before and length < limit:
                    before[successor] = here
                    queue.append((successor, length + 1))
        return None

    def loop(self, pc: int, limit: int = 64) -> tuple[int, ...] | None:
        """The addresses executed on the shortest way from ``pc`` back to it, itself the first.

        None where the code does not lead back within ``limit`` instructions, as for :meth:`path`.
        """
        ways = [self.path(successor, pc, limit - 1) for successor in self._successors(pc)]
        shortest = min((way for way in ways if way is not None), key=len, default=None)
        return None if shortest is None else (pc, *shortest)

    def way(self, start: int, end: int) -> tuple[int, ...] | None:
        """The same on the way from ``start`` to ``end``, once round where the two are one."""
        return self.loop(start) if start == end else self.path(start, end)

    def _successors(self, pc: int) -> tuple[int, ...]:
        word = self.word(pc)
        return () if word is None else successors(word, pc)


def _seen(loads: Iterable[Load]) -> Iterator[tuple[int, bytes]]:
    """What is loaded by each address at which the guest finds it."""
    for load in loads:
        yield load.addr, load.data
        if load.virtual is not None:
            yield load.virtual, load.data


def _walk_back(before: Mapping[int, int], last: int, start: int) -> tuple[int, ...]:
    path = [last]
    while path[-1] != start:
        path.append(before[path[-1]])
    return tuple(reversed(path))


def _regions(case: Case) -> Iterator[tuple[str, int, int]]:
    for device in case.devices:
        if device.size < 1 << 48:
            yield device.name, device.base, device.size
    if case.gic is not None:
        dist_size = 0x10000 if case.gic.version == 3 else 0x1000
        yield "GICD", case.gic.dist, dist_size
        if case.gic.version == 3:
            yield "GICR", case.gic.redist, 0x20000
        else:
            yield "GICC", case.gic.cpu, 0x2000
