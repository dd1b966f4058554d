"""Merges clauses wherever a reader gains by it: one sequence stands once, its differences in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Final, TypeAlias

from msgspec import Struct, field

from vcpu_scenario.authoring import concrete
from vcpu_scenario.authoring.formatting import meaning
from vcpu_scenario.authoring.merging.choices import Tree, choice, effort, in_brackets, in_lines
from vcpu_scenario.authoring.merging.clauses import LISTS, Clause, Fixed, Part, clauses_of
from vcpu_scenario.authoring.merging.columns import Block, aligned, block
from vcpu_scenario.authoring.merging.ranges import Place, Places, Wording
from vcpu_scenario.kernels.release import parse_range
from vcpu_scenario.language import loads, yaml12
from vcpu_scenario.language.model import Scenario
from vcpu_scenario.language.nodes import Map
from vcpu_scenario.language.variants import places_of
from vcpu_scenario.source import InvalidScenario

_Groups: TypeAlias = list[frozenset[int]]
"""Which clauses become one, by their numbers."""

_SHARED: Final = 3
"""One in so many items has to stand in more than one of the lists that are merged."""

_GAIN: Final = 0.05
"""What a line less has to be worth, for a change to be made at all."""


def merged(text: str, path: str | Path, kernel: str = "") -> str:
    """``text``, the content of ``path``, with clauses merged that have enough in common; with
    ``kernel`` the clauses that are for it alone are merged with others, and no others.

    A scenario for other hosts than the default one stays as it is. Every case expects what it
    did. Conditions that tell no cases from others, as a clause put before theirs leaves them, are
    left out. Raises :class:`vcpu_scenario.source.InvalidScenario` for what is no scenario, and
    :class:`vcpu_scenario.authoring.concrete.Unusual`.
    """
    path = Path(path)
    scenario = loads(text, path, conditions=False)
    if scenario.audience.hosts not in (None, ("",)):
        return text
    node, _ = yaml12.parse(text, str(path))
    key = node.key("expect") if isinstance(node, Map) else None
    document = concrete.read(text)
    if not isinstance(node, Map) or key is None or document.root.refers:  # type: ignore[union-attr]
        return text
    clauses = clauses_of(document, node, scenario)
    said = [comment.text.removeprefix("#").strip() for comment in document.comments]
    sound = _is_valid(text, path)
    return _Merging(text, path, scenario, clauses, key.span.line, said, sound, kernel).result()


def _is_valid(text: str, path: Path) -> bool:
    try:
        loads(text, path)
    except InvalidScenario:
        return False
    return True


class _Merging(Struct):
    text: str
    path: Path
    scenario: Scenario
    clauses: list[Clause]
    start: int
    """The line below that of ``expect:``, from 0."""
    said: list[str]
    """Every comment, without its mark."""
    sound: bool
    """The text has no condition that tells no cases from others."""
    kernel: str
    """The kernel whose clauses are to be merged; empty for all."""
    refused: set[frozenset[int]] = field(default_factory=set)
    _kept: dict[frozenset[int], Block | None] = field(default_factory=dict)

    def result(self) -> str:
        """The text that costs its reader least, of what is reached on several ways."""
        wanted = meaning(self.scenario)
        alone = [frozenset((number,)) for number in range(len(self.clauses))]
        starts = [alone] if self.kernel else [alone, self._by_vmm(alone)]
        ways = [self._from(groups, wanted) for groups in starts]
        best = min(ways, key=lambda groups: sum(map(self._cost, groups)))
        return self._written(best) if best != alone or not self.sound else self.text

    def _from(self, groups: _Groups, wanted: Any) -> _Groups:
        """``groups`` merged further, pair by pair, as long as a reader gains."""
        if not self._is_same(groups, wanted):
            return [frozenset((number,)) for number in range(len(self.clauses))]
        while (pair := self._best_pair(groups)) is not None:
            candidate = [group for group in groups if group not in pair]
            candidate.append(pair[0] | pair[1])
            if self._is_same(candidate, wanted):
                groups = candidate
            else:
                self.refused.add(pair[0] | pair[1])
        return groups

    def _by_vmm(self, alone: _Groups) -> _Groups:
        """Clauses for the same VMMs together, as far as they can be."""
        found: dict[object, list[frozenset[int]]] = {}
        for group in alone:
            (number,) = group
            vmms = self.scenario.audience.clauses[number].vmms
            of_vmms = found.setdefault(vmms, [])
            for known in of_vmms:
                if self._block(known | group) is not None:
                    of_vmms.remove(known)
                    group |= known
                    break
            of_vmms.append(group)
        return [group for groups in found.values() for group in groups]

    def _best_pair(self, groups: _Groups) -> tuple[frozenset[int], frozenset[int]] | None:
        steps: list[tuple[float, tuple[frozenset[int], frozenset[int]] | None]] = []
        for pair in combinations(sorted(groups, key=min), 2):
            both = self._block(pair[0] | pair[1]) if any(map(self._is_meant, pair)) else None
            if both is not None and pair[0] | pair[1] not in self.refused:
                gain = self._cost(pair[0]) + self._cost(pair[1]) - both.cost
                steps.append((gain, pair))
        gain, best = max(steps, key=lambda step: step[0], default=(0.0, None))
        return best if gain > _GAIN else None

    def _is_meant(self, group: frozenset[int]) -> bool:
        clauses = self.scenario.audience.clauses
        alone = parse_range(self.kernel) if self.kernel else None
        return alone is None or any(clauses[number].kernels == alone for number in group)

    def _cost(self, group: frozenset[int]) -> float:
        found = self._block(group)
        assert found is not None
        return found.cost

    def _block(self, group: frozenset[int]) -> Block | None:
        if group not in self._kept:
            self._kept[group] = self._make(group)
        return self._kept[group]

    def _make(self, group: frozenset[int]) -> Block | None:
        clauses = [self.clauses[number] for number in sorted(group)]
        together = self._together(clauses)
        if len(clauses) > 1:
            return together
        (clause,) = clauses
        if not self.sound and together is not None:
            return together
        lines = float(sum(bool(line.strip()) for line in clause.lines))
        return Block(clause.lines, together.cost if together is not None else lines)

    def _together(self, clauses: Sequence[Clause]) -> Block | None:
        every_part = (part for clause in clauses for part in clause.parts)
        parts = sorted(every_part, key=lambda part: min(part.places))
        if not all(clause.parts for clause in clauses) or len({p.when for p in parts}) > 1:
            return None
        every = frozenset(Place(k, v) for k, v in places_of(self.scenario.audience))
        wording = Wording(tuple({place.kernel for place in every}))
        try:
            return _Merged(parts, every, wording).block()
        except Fixed:
            return None

    def _written(self, groups: _Groups) -> str:
        lines = self.text.splitlines()
        start = self.start
        behind = start + sum(len(clause.lines) for clause in self.clauses)
        body: list[str] = []
        for group in sorted(groups, key=min):
            found = self._block(group)
            body += found.lines if found is not None else ()
        return "\n".join([*lines[:start], *body, *lines[behind:]]) + "\n"

    def _is_same(self, groups: _Groups, wanted: Any) -> bool:
        text = self._written(groups)
        if not all(comment in text for comment in self.said):
            return False
        try:
            return bool(meaning(loads(text, self.path)) == wanted)
        except InvalidScenario:
            return False


class _Merged(Struct):
    """One clause of several parts, at ``every`` place that the scenario is for."""

    parts: Sequence[Part]
    every: Places
    wording: Wording

    def block(self) -> Block:
        here = frozenset(place for part in self.parts for place in part.places)
        if sum(len(part.places) for part in self.parts) > len(here) or self._mixes_variants():
            raise Fixed
        found = self.wording.conditions(here, self.every)
        if len(found) > 1:
            raise Fixed
        head = [f"{key}: {text}" for key, text in found[0].entries()]
        if self.parts[0].when:
            head.append(f"when: {self.parts[0].when}")
        blocks = [Block(tuple(head), len(head)), *self._sections(here)]
        lines = [line for one in blocks for line in one.lines]
        if not lines:
            raise Fixed
        indented = [f"    {line}" if not line.startswith("    ") else line for line in lines]
        indented[0] = f"  - {indented[0].lstrip()}"
        return Block(tuple(indented), sum(one.cost for one in blocks))

    def _mixes_variants(self) -> bool:
        """Whether some parts are for variants of kernels that others are not for: two courses of
        releases side by side are hard to read."""
        found = [{place.kernel.variant for place in part.places} for part in self.parts]
        return any(variants != found[0] for variants in found)

    def _sections(self, here: Places) -> Iterator[Block]:
        yield from self._about()
        for key in LISTS:
            given = [key in part.lists for part in self.parts]
            if key != "never" and len(set(given)) > 1:
                raise Fixed
            if any(given):
                yield from self._list(key, here)
        final = list(self._final(here))
        if final:
            yield Block(("final:",), 1)
            yield from final

    def _about(self) -> Iterator[Block]:
        values = {place: part.about for part in self.parts for place in part.places}
        if not any(values.values()):
            return
        tree = choice(values, self.wording, prose=True)
        if isinstance(tree, str):
            first, *rest = tree.split("\n")
            lines = [f"about: {first}", *(f"      {line}" for line in rest)]
        else:
            lines = ["about:", *in_lines(tree, "      ")]
        yield Block(tuple(lines), len(lines))

    def _list(self, key: str, here: Places) -> Iterator[Block]:
        lists = {number: part.lists.get(key, ()) for number, part in enumerate(self.parts)}
        places = {number: part.places for number, part in enumerate(self.parts)}
        yield Block((f"{key}:" if any(lists.values()) else f"{key}: []",), 1)
        columns = aligned(lists)
        shared = sum(len(column) > 1 for column in columns)
        if len(self.parts) > 1 and _SHARED * shared < len(columns):
            raise Fixed
        for column in columns:
            yield block(column, places, here, self.wording, "      ")

    def _final(self, here: Places) -> Iterator[Block]:
        names = dict.fromkeys(name for part in self.parts for name in part.final)
        of_kind: dict[str, list[tuple[str, Tree]]] = {}
        for name in names:
            kind, _, what = name.partition(".")
            values = {place: part.final.get(name) for part in self.parts for place in part.places}
            of_kind.setdefault(kind, []).append((what, choice(values, self.wording)))
        for kind, found in of_kind.items():
            text = ", ".join(f"{what}: {in_brackets(tree)}" for what, tree in found)
            cost = 1 + sum(effort(tree) for _, tree in found)
            yield Block((f"      {kind}: {{{text}}}",), cost)
        yield from self._memory()
        with_ring = [part.ring is not None for part in self.parts]
        if len(set(with_ring)) > 1:
            raise Fixed
        if any(with_ring):
            yield Block(("      ring:",), 1)
            lists = {number: part.ring or () for number, part in enumerate(self.parts)}
            places = {number: part.places for number, part in enumerate(self.parts)}
            for column in aligned(lists):
                yield block(column, places, here, self.wording, "        ")

    def _memory(self) -> Iterator[Block]:
        keys = dict.fromkeys(key for part in self.parts for key in part.memory)
        if keys:
            yield Block(("      memory:",), 1)
        for key in keys:
            values = {place: part.memory.get(key) for part in self.parts for place in part.places}
            tree = choice(values, self.wording)
            at, notation = key
            text = f"        - {{at: {at}, {notation}: {in_brackets(tree)}}}"
            yield Block((text,), 1 + effort(tree))
