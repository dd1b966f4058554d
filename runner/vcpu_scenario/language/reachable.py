"""Whether every clause of ``expect:`` is for some case."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from vcpu_scenario.kernels.hosts import DEFAULT, is_so
from vcpu_scenario.kernels.release import parse_release
from vcpu_scenario.language.audience import (
    Audience,
    Restriction,
    Selector,
    bits,
    is_for,
)
from vcpu_scenario.language.params import Parameters, Values
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.language.selection import no_known_kernel
from vcpu_scenario.source import quoted

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
