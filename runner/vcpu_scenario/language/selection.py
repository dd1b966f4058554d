"""Which clause of ``expect:`` is for which case, and whether every clause is for some."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Final, NamedTuple, TypeAlias

from vcpu_scenario.kernels.hosts import DEFAULT, host, is_so, ranges_of_host
from vcpu_scenario.kernels.meant import kernels_meant
from vcpu_scenario.kernels.release import (
    ALL_RELEASES,
    KNOWN_RELEASES,
    KernelRange,
    RangeError,
    Release,
    parse_range,
    parse_release,
)
from vcpu_scenario.language.nodes import Map, Node, Scalar, Value
from vcpu_scenario.language.nodes import Sequence as Items
from vcpu_scenario.language.params import Parameters
from vcpu_scenario.language.scope import Problems
from vcpu_scenario.source import Span, quoted

DEFAULT_VMMS: Final = ("plain",)

_FOLDED: Final = "YAML takes `>` or `|` without quotes for the start of a text: quote the range"


class Selector(NamedTuple):
    """What a clause is for; None where it does not restrict it. ``span`` says so in the file."""

    kernels: KernelRange | None
    vmms: tuple[str, ...] | None
    when: Mapping[str, tuple[Value, ...]]
    span: Span
    kernels_span: Span | None = None
    hosts: tuple[str, ...] | None = None

    @property
    def restriction(self) -> Restriction:
        return self.kernels, self.vmms, self.hosts

    def fits_params(self, row: Parameters) -> bool:
        return all(
            name in row and any(_equal(row[name].value, value) for value in values)
            for name, values in self.when.items()
        )

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


def _equal(first: Value, second: Value) -> bool:
    return isinstance(first, bool) == isinstance(second, bool) and first == second


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
    def ranges(self) -> tuple[KernelRange, ...]:
        """Every range that its clauses speak of."""
        selectors = (*self.clauses, *(one for found in self.conditions for one in found))
        found = (selector.kernels for selector in selectors if selector.kernels is not None)
        return tuple(dict.fromkeys(found))

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
                _bits(held[selector.restriction] for selector in found) for found in self.conditions
            ),
        )

    def fits(self, clause: int, kernel: Release, vmm: str) -> int:
        """Which of the conditions in a clause hold for ``kernel`` with ``vmm``, a bit for each."""
        return _bits(selector.fits(kernel, vmm) for selector in self.conditions[clause])


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


def read_kernels(node: Node | None, problems: Problems) -> KernelRange | None:
    """The range that ``kernels:`` gives; None where it is not there, or says nothing readable."""
    if node is None:
        return None
    items = node.items if isinstance(node, Items) else (node,)
    read = (read_range(item.text, item, problems) for item in items if isinstance(item, Scalar))
    found = [kernels for kernels in read if kernels is not None]
    terms = tuple(term for kernels in found for term in kernels.terms)
    return KernelRange(terms) if terms else None


def read_range(text: str, at: Scalar, problems: Problems) -> KernelRange | None:
    """The range ``text``, which stands in ``at``; None where it is none."""
    try:
        return parse_range(text)
    except RangeError as error:
        problems.add(
            str(error),
            at.span,
            found=quoted(text),
            expected=error.expected,
            help=kernels_meant(text) or (_FOLDED if at.style in ("folded", "literal") else ""),
        )
    return None


def read_vmms(node: Node | None) -> tuple[str, ...] | None:
    if node is None:
        return None
    items = node.items if isinstance(node, Items) else (node,)
    return tuple(dict.fromkeys(item.text for item in items if isinstance(item, Scalar)))


def read_hosts(node: Node | None) -> tuple[str, ...] | None:
    """What ``host:`` says, word by word."""
    return read_vmms(node)


def named_hosts(words: Iterable[str] | None) -> tuple[str, ...] | None:
    """The hosts that a scenario is for which says ``words``."""
    return None if words is None else tuple(dict.fromkeys(host([word]) for word in words))


def read_selector(clause: Map, names: Collection[str] | None, problems: Problems) -> Selector:
    """What the clause is for; ``names`` are the scenario's parameters, None where not all of
    them are known."""
    kernels, vmm, when, at = map(clause.get, ("kernels", "vmm", "when", "host"))
    conditions = {}
    for key, value in when.entries if isinstance(when, Map) else ():
        items = value.items if isinstance(value, Items) else (value,)
        conditions[key.text] = tuple(item.value for item in items if isinstance(item, Scalar))
        if names is not None and key.text not in names:
            problems.add(
                f"no parameter is called {quoted(key.text)}",
                key.span,
                expected=", ".join(names) or "a matrix: that has it",
                near=(key.text, names),
            )
    restricting = next((node for node in (kernels, when, vmm, at) if node is not None), clause)
    return Selector(
        read_kernels(kernels, problems),
        read_vmms(vmm),
        conditions,
        restricting.span,
        kernels.span if kernels is not None else None,
        read_hosts(at),
    )


def check_reachable(audience: Audience, rows: Sequence[Parameters], problems: Problems) -> None:
    """Reports each clause that is the first to fit no case at all."""
    clauses = audience.clauses
    # Sets of clauses, a bit for each: what fits a kernel with a VMM, and what fits parameters.
    restricted = tuple(clause.restriction for clause in clauses)
    placed = _placed(audience.rows(), audience.vmms, restricted)
    chosen = {_bits(clause.fits_params(row) for clause in clauses) for row in rows}
    cases = {place & choice for place in placed for choice in chosen}
    first = {case & -case for case in cases}
    for number, clause in enumerate(clauses):
        if 1 << number not in first:
            takers = {case & -case for case in cases if case >> number & 1}
            _report(
                clause,
                [other for n, other in enumerate(clauses) if 1 << n in takers],
                audience,
                rows,
                problems,
            )


@lru_cache(maxsize=1 << 10)
def _placed(
    rows: tuple[str, ...],
    vmms: tuple[str, ...],
    restricted: tuple[Restriction, ...],
) -> frozenset[int]:
    """For each kernel with each VMM, the clauses that fit: a bit for each."""
    return frozenset(
        _bits(is_for(*one, release, vmm) for one in restricted)
        for release in map(parse_release, rows)
        for vmm in vmms
    )


def _bits(flags: Iterable[bool]) -> int:
    return sum(1 << number for number, flag in enumerate(flags) if flag)


def _report(
    clause: Selector,
    takers: Sequence[Selector],
    audience: Audience,
    rows: Sequence[Parameters],
    problems: Problems,
) -> None:
    if takers:
        lines = sorted({taker.span.line for taker in takers})
        problems.add(
            "no case ever reaches this clause",
            clause.span,
            found=f"all its cases go to the clause{'s' * (len(lines) > 1)} at line "
            + ", ".join(map(str, lines)),
            help="the first clause that fits a case is its expectation: put the narrower one first",
        )
    elif clause.kernels is not None and not clause.kernels.rows():
        problems.add(
            "no known kernel is in this range",
            clause.kernels_span or clause.span,
            expected=f"a range within {KNOWN_RELEASES[0]}..{KNOWN_RELEASES[-1]}",
        )
    elif not any(clause.fits_params(row) for row in rows):
        problems.add("no combination of parameters has these values", clause.span)
    elif clause.vmms is not None and not set(clause.vmms) & set(audience.vmms):
        problems.add(
            "the scenario is run with no such VMM",
            clause.span,
            found=", ".join(clause.vmms),
            expected=f"among {', '.join(audience.vmms)}, what the scenario's own `vmm` names",
        )
    elif (words := _elsewhere(clause, audience)) is not None:
        problems.add(
            "the scenario is run on no such host",
            clause.span,
            found=", ".join(clause.hosts or ()),
            expected=f"among {words}, what the scenario's own `host` names"
            if audience.hosts is not None
            else "a scenario that names its hosts: `host: [default, protected]`",
        )
    else:
        problems.add(
            "no case ever reaches this clause",
            clause.span,
            found="the scenario's own `kernels` leave out all that it is for",
        )


def _elsewhere(clause: Selector, audience: Audience) -> str | None:
    """The hosts of the scenario in words, where the clause is for none of them."""
    own = audience.hosts or ("",)
    if clause.hosts is None or any(is_so(name, word) for name in own for word in clause.hosts):
        return None
    return ", ".join(name or DEFAULT for name in own)
