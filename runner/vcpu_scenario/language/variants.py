"""A clause for each set of its conditions that hold together in some case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, product
from typing import Final, NamedTuple

from msgspec import Struct

from vcpu_scenario.kernels.release import KNOWN_RELEASES, Release, parse_release
from vcpu_scenario.language.audience import Audience, Selector, Standing
from vcpu_scenario.language.bycase import rewritten
from vcpu_scenario.language.clauses import Clause, read_clause
from vcpu_scenario.language.conditions import Conditions, Course
from vcpu_scenario.language.means import told_exits
from vcpu_scenario.language.nodes import Map
from vcpu_scenario.language.params import Parameters, shown
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.language.seen import Seen
from vcpu_scenario.language.sense import check_beside
from vcpu_scenario.language.setup import Setup

Variants = Mapping[int, Clause]
"""What a clause is by the conditions that hold, a bit for each
(:meth:`vcpu_scenario.language.selection.Audience.fits`)."""

_OLDEST: Final = parse_release(KNOWN_RELEASES[0])


class Spot(NamedTuple):
    """A kernel with a VMM that stands for all for which the same conditions hold; ``known`` if one
    of them is a case of the scenario."""

    kernel: Release
    vmm: str
    known: bool
    standing: Standing

    def first(self, fitting: Sequence[bool]) -> int | None:
        """The clause that is for it, of those that are ``fitting`` the parameters."""
        clauses = enumerate(self.standing.clauses)
        return next((n for n, fits in clauses if fits and fitting[n]), None)


def spots(audience: Audience) -> tuple[Spot, ...]:
    """One for each combination of conditions that there is."""
    rows, edges = _kernels(audience)
    found: dict[Standing, Spot] = {}
    for kernels, known in ((rows, True), (edges, False)):
        places = product(kernels, audience.vmms)
        standings = audience.standings(kernels, audience.vmms)
        for (kernel, vmm), standing in zip(places, standings, strict=True):
            found.setdefault(standing, Spot(kernel, vmm, known, standing))
    return tuple(found.values())


def places_of(audience: Audience) -> Iterator[tuple[Release, str]]:
    """Each kernel with each VMM that a case may be for."""
    return product(chain(*_kernels(audience)), audience.vmms)


def _kernels(audience: Audience) -> tuple[list[Release], list[Release]]:
    """The kernels of the scenario's cases, and those that the table does not have and that may be
    asked for."""
    rows = [parse_release(name) for name in audience.rows()]
    ranges = (*audience.ranges, *([audience.kernels] if audience.kernels is not None else []))
    edges = {edge for range_ in ranges for edge in range_.edges()}
    hosts = audience.hosts or ("",)
    there = sorted({edge.on(host) for edge in edges for host in hosts} - set(rows))
    return rows, [edge for edge in there if edge >= _OLDEST and audience.admits(edge)]


class ClauseReader(Struct, frozen=True):
    """Reads the clauses of a scenario for one combination of its parameters after the other."""

    audience: Audience
    conditions: Sequence[Conditions]
    spots: Sequence[Spot]
    seen: Sequence[Seen]

    @classmethod
    def of(cls, audience: Audience, conditions: Sequence[Conditions]) -> ClauseReader:
        """A reader of ``audience.clauses``, in which ``conditions`` stand."""
        found = spots(audience) if any(audience.conditions) else ()
        return cls(audience, conditions, found, [Seen() for _ in conditions])

    def read(
        self, nodes: Iterable[Map], row: Parameters, setup: Setup
    ) -> tuple[Variants | None, ...]:
        """What each clause is for these parameters, None where it is not for them."""
        fitting = [clause.fits_params(row) for clause in self.audience.clauses]
        return tuple(
            self._variants(number, node, row, setup, fitting) if fits else None
            for number, (node, fits) in enumerate(zip(nodes, fitting, strict=True))
        )

    def _variants(
        self, number: int, node: Map, row: Parameters, setup: Setup, fitting: Sequence[bool]
    ) -> Variants:
        problems, conditions = setup.scope.problems, self.conditions[number]
        reports, clean = problems.reports, setup.clean and not setup.scope.problems.took_from(node)
        found = self._found(number, node, row, setup, fitting)
        if clean and conditions.sound and problems.reports == reports:
            vmms = self.audience.vmms_of(number)
            told = [told_exits(one.case, vmms) for one in found.values()]
            expectations = [one.expectation for one in found.values()]
            check_beside(expectations, node, frozenset().union(*told), problems)
        return found

    def _found(
        self, number: int, node: Map, row: Parameters, setup: Setup, fitting: Sequence[bool]
    ) -> Variants:
        conditions = self.conditions[number]
        if not (conditions.items or conditions.keys):
            return {0: read_clause(node, setup)}
        # What was taken out, or is wrong, may have been for this or that case.
        if setup.scope.problems.took_from(node) or not conditions.sound:
            setup = setup._replace(clean=False)
        own = [spot for spot in self.spots if spot.first(fitting) == number]
        if own:
            return self._read(number, node, row, setup, own, self.seen[number])
        # No case comes to it: it is read for its faults alone, as if no clause were before it.
        others = [spot for spot in self.spots if spot.standing.clauses[number]] or self.spots
        return self._read(number, node, row, setup._replace(clean=False), others, Seen())

    def _read(
        self,
        number: int,
        node: Map,
        row: Parameters,
        setup: Setup,
        spots: Iterable[Spot],
        seen: Seen,
    ) -> Variants:
        found: dict[int, Clause] = {}
        for spot in spots:
            bits = spot.standing.conditions[number]
            if bits not in found:
                course = self._course(number, spot, row, seen)
                setup.scope.problems.case = course.case
                found[bits] = read_clause(rewritten(node, course), setup)
        setup.scope.problems.case = ""
        return found

    def _course(self, number: int, spot: Spot, row: Parameters, seen: Seen) -> Course:
        def fits(selector: Selector) -> bool:
            return selector.fits(spot.kernel, spot.vmm) and selector.fits_params(row)

        return Course(self.conditions[number], fits, seen, self._named(spot, row), spot.known)

    def _named(self, spot: Spot, row: Parameters) -> str:
        with_vmm = f" with {spot.vmm}" if len(self.audience.vmms) > 1 else ""
        return f"{spot.kernel}{with_vmm}" + (f", {shown(row)}" if row else "")

    def report(self, problems: Problems) -> None:
        """Reports conditions that tell no cases from others; all rows must have been read."""
        for conditions, seen in zip(self.conditions, self.seen, strict=True):
            seen.report(conditions.items.items(), problems)
