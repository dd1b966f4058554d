"""Actions at the exits that fit a pattern, as actions at exits by their number.

A program that checks one exit after the other knows at each whether a pattern fits, where what is
expected there says so. Elsewhere it looks itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from vcpu_scenario.case import Action, ExitPattern, FieldPattern, Reaction
from vcpu_scenario.expectation import Check, ExpectedExit, RegisterCheck
from vcpu_scenario.language.clauses import Clause
from vcpu_scenario.language.reactions import may_fit, pattern_of
from vcpu_scenario.source import Span


def by_number(clause: Clause) -> Clause:
    """The clause with its reactions among ``case.on``, or as it is where what is expected does not
    say at which exits they are done."""
    case, expectation = clause.case, clause.expectation
    if not case.reactions:
        return clause
    if expectation.refused is not None:
        return clause._replace(case=replace(case, reactions=()))  # there is no run
    on = dict(case.on)
    at_once: dict[int, tuple[Action, ...]] = {}
    for reaction in case.reactions:
        chosen = _chosen(reaction, expectation.exits)
        if chosen is None:
            return clause
        for number in chosen:
            at_once[number] = (*at_once.get(number, ()), *reaction.actions)
    for number, actions in at_once.items():
        on[number] = (*actions, *on.get(number, ()))
    return clause._replace(case=replace(case, on=tuple(sorted(on.items())), reactions=()))


def _chosen(reaction: Reaction, expected: Sequence[ExpectedExit] | None) -> Sequence[int] | None:
    """The exits at which it is done; None where that is not known."""
    known, all_known = _known(expected)
    said = [_fits(reaction.pattern, item) for item in known]
    fitting = [number for number, fits in enumerate(said) if fits]
    nth = reaction.nth
    if None in (said[: fitting[nth - 1]] if 0 < nth <= len(fitting) else said):
        return None
    if not nth:
        return fitting if all_known else None
    return fitting[nth - 1 : nth] if all_known or len(fitting) >= nth else None


def _known(expected: Sequence[ExpectedExit] | None) -> tuple[list[ExpectedExit], bool]:
    """The first exits, as far as they are known one by one, and whether those are all."""
    known: list[ExpectedExit] = []
    for item in expected or ():
        known += [item] * item.least
        if item.most != item.least:
            return known, False
    return known, expected is not None


def _fits(pattern: ExitPattern, expected: ExpectedExit) -> bool | None:
    """Whether the exit expected fits; None where it may and may not."""
    if not may_fit(as_expected(pattern, expected.span), expected):
        return False
    said = pattern_of(expected)
    regs = {(check.reg, check.value) for check in expected.regs}
    whole = all(any(_implies(one, wanted) for one in said.fields) for wanted in pattern.fields)
    return True if whole and set(pattern.regs) <= regs else None


def _implies(said: FieldPattern, wanted: FieldPattern) -> bool:
    if said.field != wanted.field:
        return False
    if said.mask is None or (wanted.mask is not None and wanted.mask & ~said.mask == 0):
        # The values agree, as far as both say something of them.
        return (said.text, said.words) == (wanted.text, wanted.words)
    return said == wanted


def as_expected(pattern: ExitPattern, span: Span) -> ExpectedExit:
    """The pattern as an exit that is expected at ``span``."""
    checks = []
    for one in pattern.fields:
        forms = (one.number, one.text, one.data, one.words)
        value = next(form for form in forms if form is not None)
        checks.append(Check(one.field, value, "", span, one.mask))
    regs = tuple(RegisterCheck(reg, value, "", span) for reg, value in pattern.regs)
    return ExpectedExit(_kind(pattern), tuple(checks), regs, span)


def _kind(pattern: ExitPattern) -> str:
    fields = {one.field: one for one in pattern.fields}
    if "errno" in fields:
        return "interrupted"
    text = fields["exit"].text if "exit" in fields and not pattern.failing else None
    return text.lower() if text is not None else "any"
