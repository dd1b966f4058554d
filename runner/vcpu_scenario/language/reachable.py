"""Whether every clause of ``expect:`` is for some case."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Final

from vcpu_scenario.kernels.hosts import DEFAULT, is_so
from vcpu_scenario.kernels.release import parse_release
from vcpu_scenario.language.audience import Audience, Restriction, Selector, bits, is_for
from vcpu_scenario.language.nodes import Map, Node
from vcpu_scenario.language.params import Parameters, Values, taken_values
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.language.selection import no_known_kernel
from vcpu_scenario.source import Span, quoted

_SHOWN: Final = 12
"""Values of a parameter that an error names."""


def check_reachable(
    audience: Audience, rows: Sequence[Parameters], problems: Problems, *, told: bool = False
) -> None:
    """Reports each clause that is the first to fit no case at all; one that asks for values of
    parameters that there are not only if something is not ``told`` already."""
    clauses = audience.clauses
    # Sets of clauses, a bit for each: what fits a kernel with a VMM, and what fits parameters.
    restricted = tuple(clause.restriction for clause in clauses)
    placed = _placed(audience.rows(), audience.vmms, restricted)
    chosen = {bits(clause.fits_params(row) for clause in clauses) for row in rows}
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
                told,
            )


def check_values(audience: Audience, taken: Values, problems: Problems) -> None:
    """Reports each condition for a value that its parameter never has: beside others that it has,
    nothing else shows that one is misspelt."""
    for selector in audience.selectors:
        for name, asked in selector.never_had(taken):
            texts = [known.text for known in taken[name].values()]
            problems.add(
                f"{quoted(name)} never has this value",
                asked.span,
                found=asked.text,
                expected=", ".join(texts[:_SHOWN]) + ", ..." * (len(texts) > _SHOWN),
                near=(asked.text, texts),
            )


def check_places(audience: Audience, hosts: Node | None, problems: Problems) -> None:
    """Reports each condition that names a VMM or a host of which the scenario has no case, beside
    others: the case that was meant may be another. So is a host in ``hosts``, the scenario's own,
    that has none of its kernels."""
    for selector in audience.selectors:
        vmms, words = selector.vmms or (), selector.hosts or ()
        strange = [vmm for vmm in vmms if vmm not in audience.vmms]
        if strange and len(strange) < len(vmms):
            _no_such_vmm(selector.span, strange, audience, problems)
        strange = [word for word in words if not _is_own(word, audience)]
        if strange and len(strange) < len(words):
            _no_such_host(selector.span, strange, audience, problems)
    for name in audience.hosts or ():
        if hosts is not None and audience.rows() and not audience.rows([name]):
            problems.add(
                "no case is on this host",
                hosts.span,
                found=name or DEFAULT,
                help="take it out, or widen `kernels` to what is modelled there",
            )


def check_idle(
    audience: Audience, rows: Sequence[Parameters], root: Map, problems: Problems
) -> None:
    """Reports each value of a parameter, each VMM and each host that the scenario names and of
    which no clause is for any case: none is run, and nothing shows it."""
    clauses = audience.clauses
    if not clauses:
        return
    restricted = tuple(clause.restriction for clause in clauses)
    choices = [bits(clause.fits_params(row) for clause in clauses) for row in rows]

    def fits(choices: Collection[int], vmms: tuple[str, ...], hosts: Sequence[str] = ()) -> bool:
        placed = _placed(audience.rows(hosts), vmms, restricted)
        return any(place & choice for place in placed for choice in choices)

    each = {choice: fits((choice,), audience.vmms) for choice in choices}
    had = taken_values(row for row, choice in zip(rows, choices, strict=True) if each[choice])
    for name, values in taken_values(rows).items():
        for sort, value in values.items():
            if sort not in had.get(name, {}):
                _tell_idle(value, f"{name}={value.text}", problems)
    for vmm in audience.vmms:
        if not fits(each, (vmm,)):
            _tell_idle(root.get("vmm"), vmm, problems)
    for host in audience.hosts or ():
        if not fits(each, audience.vmms, (host,)):
            _tell_idle(root.get("host"), host or DEFAULT, problems)


def _tell_idle(at: Node | None, what: str, problems: Problems) -> None:
    if at is None:
        return
    problems.add(
        "no case ever has this",
        at.span,
        found=f"no clause is for {what}, so that it is never run",
        help="leave it out, or say what is expected there",
    )


def _is_own(word: str, audience: Audience) -> bool:
    return any(is_so(name, word) for name in audience.hosts or ("",))


def _no_such_vmm(at: Span, found: Iterable[str], audience: Audience, problems: Problems) -> None:
    problems.add(
        "the scenario is run with no such VMM",
        at,
        found=", ".join(found),
        expected=f"among {', '.join(audience.vmms)}, what the scenario's own `vmm` names",
    )


def _no_such_host(at: Span, found: Iterable[str], audience: Audience, problems: Problems) -> None:
    own = ", ".join(name or DEFAULT for name in audience.hosts or ())
    problems.add(
        "the scenario is run on no such host",
        at,
        found=", ".join(found),
        expected=f"among {own}, what the scenario's own `host` names"
        if own
        else "a scenario that names its hosts: `host: [default, protected]`",
    )


@lru_cache(maxsize=1 << 10)
def _placed(
    rows: tuple[str, ...],
    vmms: tuple[str, ...],
    restricted: tuple[Restriction, ...],
) -> frozenset[int]:
    """For each kernel with each VMM, the clauses that fit: a bit for each."""
    return frozenset(
        bits(is_for(*one, release, vmm) for one in restricted)
        for release in map(parse_release, rows)
        for vmm in vmms
    )


def _report(
    clause: Selector,
    takers: Sequence[Selector],
    audience: Audience,
    rows: Sequence[Parameters],
    problems: Problems,
    told: bool,
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
        no_known_kernel(clause.kernels_span or clause.span, "", problems)
    elif not any(clause.fits_params(row) for row in rows):
        if not told:
            problems.add("no combination of parameters has these values", clause.span)
    elif clause.vmms is not None and not set(clause.vmms) & set(audience.vmms):
        _no_such_vmm(clause.span, clause.vmms, audience, problems)
    elif clause.hosts is not None and not any(_is_own(word, audience) for word in clause.hosts):
        _no_such_host(clause.span, clause.hosts, audience, problems)
    else:
        problems.add(
            "no case ever reaches this clause",
            clause.span,
            found="the scenario's own `kernels` leave out all that it is for",
        )
