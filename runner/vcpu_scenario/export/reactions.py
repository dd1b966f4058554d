"""Actions at the exits that fit a pattern, as actions at exits by their number.

A program that checks one exit after the other knows at each whether a pattern fits: by what is
expected there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vcpu_scenario.case import Action, ExitPattern, FieldPattern
from vcpu_scenario.expectation import Check, ExpectedExit, RegisterCheck
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.language.clauses import Clause
from vcpu_scenario.language.reactions import may_fit, pattern_of
from vcpu_scenario.source import Span


def by_number(clause: Clause) -> Clause:
    """The clause with its reactions among ``case.on``; raises :class:`Unexportable` where what is
    expected does not say at which exits they are done."""
    case, expectation = clause.case, clause.expectation
    if not case.reactions:
        return clause
    if expectation.refused is not None:
        return clause._replace(case=replace(case, reactions=()))  # there is no run
    if expectation.exits is None and len(case.reactions) == 1 and not case.on:
        return clause  # the program looks itself which exit it is
    known, all_known = _known(expectation.exits)
    on = dict(case.on)
    at_once: dict[int, tuple[Action, ...]] = {}
    for reaction in case.reactions:
        fitting = [n for n, item in enumerate(known) if _fits(reaction.pattern, item)]
        if not all_known and (not reaction.nth or len(fitting) < reaction.nth):
            raise Unexportable("an action at a pattern, where the exits are not known one by one")
        chosen = fitting if not reaction.nth else fitting[reaction.nth - 1 : reaction.nth]
        for number in chosen:
            at_once[number] = (*at_once.get(number, ()), *reaction.actions)
    for number, actions in at_once.items():
        on[number] = (*actions, *on.get(number, ()))
    return clause._replace(case=replace(case, on=tuple(sorted(on.items())), reactions=()))


def _known(expected: Sequence[ExpectedExit] | None) -> tuple[list[ExpectedExit], bool]:
    """The first exits, as far as they are known one by one, and whether those are all."""
    known: list[ExpectedExit] = []
    for item in expected or ():
        known += [item] * item.least
        if item.most != item.least:
            return known, False
    return known, expected is not None


def _fits(pattern: ExitPattern, expected: ExpectedExit) -> bool:
    """Whether the exit expected fits; raises where it may and may not."""
    if not may_fit(as_expected(pattern, expected.span), expected):
        return False
    said = pattern_of(expected)
    regs = {(check.reg, check.value) for check in expected.regs}
    whole = all(any(_implies(one, wanted) for one in said.fields) for wanted in pattern.fields)
    if whole and set(pattern.regs) <= regs:
        return True
    raise Unexportable("an action at a pattern that an exit expected may or may not fit")


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
