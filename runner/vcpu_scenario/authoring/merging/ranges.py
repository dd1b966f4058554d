"""Sets of kernels and VMMs as conditions, in the few words that an author would take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from vcpu_scenario.kernels.inwords import ranges_of
from vcpu_scenario.kernels.release import Release
from vcpu_scenario.language.notation import flow


class Place(NamedTuple):
    """A kernel with a VMM."""

    kernel: Release
    vmm: str


Places: TypeAlias = frozenset[Place]


class Condition(NamedTuple):
    """Kernels and VMMs, None where they do not matter."""

    kernels: tuple[str, ...] | None
    vmms: tuple[str, ...] | None

    def entries(self) -> Iterator[tuple[str, str]]:
        """The keys of an exit or a clause that say so, as they are written."""
        if self.kernels is not None:
            yield "kernels", _one_or_list(self.kernels)
        if self.vmms is not None:
            yield "vmm", _one_or_list(self.vmms)

    def __str__(self) -> str:
        parts = [", ".join(part) for part in self if part is not None]
        return " with ".join(parts)


def _one_or_list(words: Sequence[str]) -> str:
    return flow(words[0] if len(words) == 1 else list(words))


class Wording(NamedTuple):
    """Puts sets of places into words; ``whole`` are all the kernels there are."""

    whole: tuple[Release, ...]

    def ranges(self, wanted: Iterable[Release], every: Iterable[Release]) -> tuple[str, ...]:
        """The ranges that, of ``every`` release, fit those ``wanted`` and no others.

        They are those of the whole, unless it takes fewer to tell the others of ``every`` apart.
        """
        chosen = set(wanted)
        alone, among = ranges_of(chosen, self.whole), ranges_of(chosen, every)
        return among if len(among) < len(alone) else alone

    def conditions(self, wanted: Places, every: Places) -> list[Condition]:
        """Conditions of which one holds at each of the places ``wanted``, and none at any other of
        ``every``."""
        if wanted == every:
            return [Condition(None, None)]
        kernels, vmms = {place.kernel for place in wanted}, _vmms(wanted)
        all_kernels = {place.kernel for place in every}
        if wanted == {place for place in every if place.kernel in kernels}:
            return [Condition(self.ranges(kernels, all_kernels), None)]
        if wanted == {place for place in every if place.vmm in vmms}:
            return [Condition(None, vmms)]
        found: dict[frozenset[Release], list[str]] = {}
        for vmm in vmms:
            kernels_with = frozenset(place.kernel for place in wanted if place.vmm == vmm)
            found.setdefault(kernels_with, []).append(vmm)
        if wanted == {place for place in every if place.kernel in kernels and place.vmm in vmms}:
            found = {frozenset(kernels): list(vmms)}
        return [
            Condition(self._unless_all(kernels_with, with_vmms, every), tuple(with_vmms))
            for kernels_with, with_vmms in found.items()
        ]

    def _unless_all(
        self, kernels: frozenset[Release], vmms: Sequence[str], every: Places
    ) -> tuple[str, ...] | None:
        there = {place.kernel for place in every if place.vmm in vmms}
        return None if kernels == there else self.ranges(kernels, {p.kernel for p in every})


def _vmms(places: Places) -> tuple[str, ...]:
    return tuple(sorted({place.vmm for place in places}, key=lambda vmm: (vmm != "plain", vmm)))
