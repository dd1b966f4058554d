"""A scenario that was loaded, and the cases it makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.case import Case
from vcpu_scenario.expectation import Expectation
from vcpu_scenario.kernels.release import KernelRange, parse_release
from vcpu_scenario.language.audience import Audience, Standing
from vcpu_scenario.language.clauses import Clause
from vcpu_scenario.language.nodes import Value
from vcpu_scenario.source import Span


class Combination(NamedTuple):
    """A scenario for one combination of its parameters.

    ``clauses`` has an entry for each clause of ``expect:``: what it is by which conditions in it
    hold (:meth:`vcpu_scenario.language.selection.Audience.fits`), None where it is not for these
    parameters. ``case`` is run where none of them fits.
    """

    name: str
    params: Mapping[str, Value]
    case: Case
    clauses: tuple[Mapping[int, Clause] | None, ...]
    symbols: Mapping[str, int]
    lines: Mapping[int, Span]


class Place(NamedTuple):
    """One combination of a scenario on one kernel with one VMM: what a case is made for.

    ``id`` is the case's; ``clause`` is None where the scenario expects nothing there.
    """

    id: str
    kernel: str
    vmm: str
    combination: Combination
    clause: Clause | None


class Scenario(Struct, frozen=True):
    """One ``*.vcpu.yaml`` file.

    ``name`` is its path from the folder that the user named, without suffix; ``sources`` are the
    (assembly, address) pairs that its cases were assembled from.
    """

    path: Path
    name: str
    title: str
    about: str
    tags: tuple[str, ...]
    origin: tuple[str, ...]
    audience: Audience
    combinations: tuple[Combination, ...]
    sources: tuple[tuple[str, int], ...]

    @property
    def kernels(self) -> KernelRange | None:
        """What the scenario restricts itself to; None where it is for every release."""
        return self.audience.kernels

    @property
    def vmms(self) -> tuple[str, ...]:
        return self.audience.vmms

    def cases(
        self,
        kernels: Sequence[str] | None = None,
        vmms: Sequence[str] | None = None,
        hosts: Sequence[str] = (),
    ) -> list[ScenarioCase]:
        """The cases of :meth:`places`, each with all that it takes to run it."""
        return [self._case(place) for place in self.places(kernels, vmms, hosts)]

    def places(
        self,
        kernels: Sequence[str] | None = None,
        vmms: Sequence[str] | None = None,
        hosts: Sequence[str] = (),
    ) -> Iterator[Place]:
        """Where the scenario is run: on ``kernels`` with ``vmms``, of those that it is for, and on
        ``hosts`` (:mod:`vcpu_scenario.kernels.hosts`) or all that it names.

        Without ``kernels``: every kernel of the table, and every one the scenario names, for
        which it states an expectation. A kernel that names a host is on that one. Raises
        :class:`vcpu_scenario.kernels.release.RangeError` for what is no release.
        """
        audience = self.audience
        named = audience.rows(hosts) if kernels is None else audience.on_hosts(kernels, hosts)
        admitted = [(name, parse_release(name)) for name in named]
        personalities = [vmm for vmm in self.vmms if vmms is None or vmm in vmms]
        standings = audience.standings((release for _, release in admitted), personalities)
        # Many kernels have the same clauses: which one is first is asked once for all of them.
        kinds: dict[Standing, int] = {}
        there = [
            (name, vmm, f"@{name}/{vmm}", kinds.setdefault(standing, len(kinds)))
            for (name, vmm), standing in zip(
                product((name for name, _ in admitted), personalities), standings, strict=True
            )
        ]
        fitting = [_fitting(standing) for standing in kinds]
        for combination in self.combinations:
            here = self.name + combination.name
            clauses = [_first(combination, numbers) for numbers in fitting]
            for name, vmm, at, kind in there:
                clause = clauses[kind]
                if kernels is not None or clause is not None:
                    yield Place(here + at, name, vmm, combination, clause)

    def _case(self, place: Place) -> ScenarioCase:
        combination, clause = place.combination, place.clause
        case = combination.case if clause is None else clause.case
        return ScenarioCase(
            place.id,
            self,
            place.kernel,
            place.vmm,
            combination.params,
            case if place.vmm == case.vmm else replace(case, vmm=place.vmm),
            None if clause is None else clause.expectation,
            combination.symbols,
            combination.lines,
        )


def _fitting(standing: Standing) -> tuple[tuple[int, int], ...]:
    """The clauses that are for a place, and which conditions in each hold."""
    both = enumerate(zip(standing.clauses, standing.conditions, strict=True))
    return tuple((number, bits) for number, (fits, bits) in both if fits)


def _first(combination: Combination, fitting: Sequence[tuple[int, int]]) -> Clause | None:
    for number, bits in fitting:
        if (found := combination.clauses[number]) is not None:
            return found.get(bits)
    return None


class ScenarioCase(Struct, frozen=True):
    """One run: a scenario with one combination of parameters, on one kernel with one VMM.

    ``id`` is stable, ``single-step/mmio-write-step[width=4]@6.12/plain``; ``expectation`` is
    None where no clause is for this case; ``lines`` maps the address of an instruction to the
    text it comes from.
    """

    id: str
    scenario: Scenario
    kernel: str
    vmm: str
    params: Mapping[str, Value]
    case: Case
    expectation: Expectation | None
    symbols: Mapping[str, int]
    lines: Mapping[int, Span]
