"""Events of perf behind the counters of a PMU: one that ends leaves 32 bits of what it counted for.

What was above them a VMM sees on kernels that show what is stored.
"""

from __future__ import annotations

from typing import Final, Protocol

_WORD: Final = 0xFFFF_FFFF
_CYCLES: Final = 31


class Counters(Protocol):
    values: list[int]

    @property
    def is_on(self) -> bool: ...

    @property
    def is_long(self) -> bool: ...

    def paired(self, index: int) -> bool: ...

    def is_backed(self, index: int) -> bool: ...


class Backing:
    """``single`` says that kernels take no pair for one counter."""

    def __init__(self, counters: Counters, *, single: bool) -> None:
        self._counters: Final = counters
        self._single: Final = single
        self._backed: Final[set[int]] = set()
        self._chained: Final[set[int]] = set()
        """Pairs that KVM took for one counter when it last looked, by half their number."""
        self.long: bool | None = None
        """The event of the cycle counter overflows with 64 bits: as PMCR_EL0.LC said when it was
        made, whatever that says since. None where none was made."""

    def clear(self) -> None:
        self._backed.clear()
        self._chained.clear()
        self.long = None

    def switched(self, mask: int, *, on: bool) -> None:
        """``kvm_pmu_enable_counter_mask`` or ``kvm_pmu_disable_counter_mask``."""
        if on and not self._counters.is_on:
            return
        for index in range(_CYCLES + 1):
            kept = self._single and (not on or index in self._backed)
            if mask >> index & 1 and not kept:
                self.type_changed(index)

    def type_changed(self, index: int) -> None:
        """``kvm_pmu_update_pmc_chained``, and a new event."""
        pair, chained = index >> 1, self._counters.paired(index)
        if chained is not (pair in self._chained):
            self._stop(index)
            if chained:
                self._stop(index ^ 1)
            self._chained.symmetric_difference_update({pair})
        self.renew(index)

    def renew(self, index: int) -> None:
        """``kvm_pmu_create_perf_event``."""
        self._stop(index)
        index = self._first(index)
        if self._counters.is_backed(index):
            self._backed.add(index)
        if index == _CYCLES:
            self.long = self._counters.is_long

    def _stop(self, index: int) -> None:
        """``kvm_pmu_stop_counter``."""
        index = self._first(index)
        if index in self._backed:
            self._backed.remove(index)
            if index == _CYCLES:
                return
            for each in (index, index | (index >> 1 in self._chained)):
                self._counters.values[each] &= _WORD

    def _first(self, index: int) -> int:
        """``kvm_pmu_get_canonical_pmc``."""
        return index & ~1 if index >> 1 in self._chained else index
