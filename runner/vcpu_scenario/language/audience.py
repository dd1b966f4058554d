"""Whom something is for: kernels, VMMs, hosts and parameters, of a clause and of the whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import repeat
from typing import NamedTuple, TypeAlias

from vcpu_scenario.kernels.hosts import is_so, ranges_of_host
from vcpu_scenario.kernels.release import (
    ALL_RELEASES,
    KernelRange,
    Release,
    parse_range,
    parse_release,
)
from vcpu_scenario.language.nodes import Scalar
from vcpu_scenario.language.params import Parameters, Values, sort_of
from vcpu_scenario.source import Span


class Selector(NamedTuple):
    """What a clause is for; None where it does not restrict it. ``span`` says so in the file."""

    kernels: KernelRange | None
    vmms: tuple[str, ...] | None
    when: Mapping[str, tuple[Scalar, ...]]
    span: Span
    kernels_span: Span | None = None
    hosts: tuple[str, ...] | None = None

    @property
    def restriction(self) -> Restriction:
        return self.kernels, self.vmms, self.hosts

    def fits_params(self, row: Parameters) -> bool:
        return all(
            name in row
            and any(sort_of(row[name].value) == sort_of(asked.value) for asked in values)
            for name, values in self.when.items()
        )

    def never_had(self, taken: Values) -> Iterator[tuple[str, Scalar]]:
        """The values that it asks for and that their parameters, which ``taken`` has, never
        take."""
        for name, values in self.when.items():
            for asked in values:
                if sort_of(asked.value) not in taken.get(name, {}):
                    yield name, asked

    def fits(self, kernel: Release, vmm: str) -> bool:
        return is_for(*self.restriction, kernel, vmm)


Restriction: TypeAlias = tuple[KernelRange | None, tuple[str, ...] | None, tuple[str, ...] | None]
"""The kernels, the VMMs and the hosts that something is for, None for all."""


def is_for(
    kernels: KernelRange | None,
    vmms: tuple[str, ...] | None,
    hosts: tuple[str, ...] | None,
    kernel: Release,
    vmm: str,
) -> bool:
    """Whether what is restricted so is for ``kernel`` with ``vmm``."""
    in_range = kernels is None or kernels.admits(kernel)
    with_vmm = vmms is None or vmm in vmms
    return in_range and with_vmm and (hosts is None or any(is_so(kernel.host, h) for h in hosts))


class Standing(NamedTuple):
    """What holds for a kernel with a VMM."""

    clauses: tuple[bool, ...]
    """Which clauses are for it, whatever the parameters."""
    conditions: tuple[int, ...]
    """Which conditions hold in each clause, a bit for each."""


class Audience(NamedTuple):
    """What a scenario as a whole is for, and every kernel that one of its clauses speaks of."""

    kernels: KernelRange | None
    vmms: tuple[str, ...]
    clauses: tuple[Selector, ...]
    conditions: tuple[tuple[Selector, ...], ...] = ()
    """Those that stand in each clause, for some of its exits and values."""
    hosts: tuple[str, ...] | None = None
    """The hosts that the scenario is for, by name; None for any, and the default one unasked."""

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """Those of the clauses, and those that stand in them."""
        return (*self.clauses, *(one for found in self.conditions for one in found))

    @property
    def ranges(self) -> tuple[KernelRange, ...]:
        """Every range that its clauses speak of."""
        found = (one.kernels for one in self.selectors if one.kernels is not None)
        return tuple(dict.fromkeys(found))

    def vmms_of(self, clause: int) -> tuple[str, ...]:
        """The VMMs that a clause is for."""
        own = self.clauses[clause].vmms
        return tuple(vmm for vmm in self.vmms if own is None or vmm in own)

    def admits(self, kernel: Release) -> bool:
        """Whether the scenario is for ``kernel``, a variant only where it names it."""
        at_home = self.hosts is None or kernel.host in self.hosts
        return at_home and _admits(kernel, self.kernels, self.ranges)

    def rows(self, hosts: Collection[str] = ()) -> tuple[str, ...]:
        """The kernels that the scenario can be run on, oldest first, each on every one of its
        hosts, or of those in ``hosts``, that has it."""
        return _rows(self.kernels, self.ranges, self._hosts(hosts))

    def on_hosts(self, names: Iterable[str], hosts: Collection[str] = ()) -> Iterator[str]:
        """Of the kernels ``names`` those that the scenario is for, each on the host that it names
        or else on every one as with :meth:`rows`; once each."""
        found: dict[str, None] = {}
        for name in names:
            release = parse_release(name)
            at = (release.host,) if release.host else self._hosts(hosts)
            there = (release.on(host) for host in at)
            found |= dict.fromkeys(
                # As it was named: v6.12 stays so.
                name if one == release else str(one)
                for one in there
                if self.admits(one)
            )
        yield from found

    def _hosts(self, asked: Collection[str]) -> tuple[str, ...]:
        own = self.hosts
        if own is None:
            return tuple(asked) or ("",)
        return tuple(host for host in own if not asked or host in asked)

    def standings(self, kernels: Iterable[Release], vmms: Iterable[str]) -> Iterator[Standing]:
        """What holds on each kernel with each VMM, in the order of the kernels."""
        kernels, vmms = tuple(kernels), tuple(vmms)
        selectors = (*self.clauses, *(one for found in self.conditions for one in found))
        # Many selectors ask the same, and most places give the same answers.
        asked = {selector.restriction: None for selector in selectors}
        columns = [_held(restriction, kernels, vmms) for restriction in asked]
        answers = zip(*columns, strict=True) if columns else repeat((), len(kernels) * len(vmms))
        found: dict[tuple[bool, ...], Standing] = {}
        for held in answers:
            if held not in found:
                found[held] = self._standing(dict(zip(asked, held, strict=True)))
            yield found[held]

    def _standing(self, held: Mapping[Restriction, bool]) -> Standing:
        return Standing(
            tuple(held[selector.restriction] for selector in self.clauses),
            tuple(
                bits(held[selector.restriction] for selector in found) for found in self.conditions
            ),
        )

    def fits(self, clause: int, kernel: Release, vmm: str) -> int:
        """Which of the conditions in a clause hold for ``kernel`` with ``vmm``, a bit for each."""
        return bits(selector.fits(kernel, vmm) for selector in self.conditions[clause])


# Scenarios ask for a few ranges again and again.
@lru_cache(maxsize=1 << 10)
def _held(
    restriction: Restriction, kernels: tuple[Release, ...], vmms: tuple[str, ...]
) -> tuple[bool, ...]:
    """Whether it holds, for each kernel with each VMM."""
    return tuple(is_for(*restriction, kernel, vmm) for kernel in kernels for vmm in vmms)


def _admits(kernel: Release, whole: KernelRange | None, of_clauses: Iterable[KernelRange]) -> bool:
    if whole is not None:
        return whole.admits(kernel)
    if not kernel.variant:
        return True
    return any(kernels.admits(kernel) for kernels in of_clauses)


# Scenarios ask for a few ranges again and again.
@lru_cache(maxsize=1 << 10)
def _rows(
    whole: KernelRange | None, of_clauses: tuple[KernelRange, ...], hosts: tuple[str, ...]
) -> tuple[str, ...]:
    ranges = [whole or ALL_RELEASES, *of_clauses]
    named = {parse_release(name) for found in ranges for name in found.rows()}
    placed = {release.on(host) for host in hosts for release in named if _has(host, release)}
    return tuple(str(release) for release in sorted(placed) if _admits(release, whole, of_clauses))


def _has(host: str, release: Release) -> bool:
    return all(parse_range(text).admits(release) for text in ranges_of_host(host))


def bits(flags: Iterable[bool]) -> int:
    return sum(1 << number for number, flag in enumerate(flags) if flag)
