"""The course of a run in C: what is expected of each exit, and what the VMM does after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vcpu_scenario.arm64 import esr
from vcpu_scenario.case import Action, Case
from vcpu_scenario.expectation import Expectation, ExpectedExit
from vcpu_scenario.export import actions, repeats, watch
from vcpu_scenario.export.afterexit import ENDS, GOES_ON, after_exit
from vcpu_scenario.export.conditions import conditions
from vcpu_scenario.export.final import at_the_end
from vcpu_scenario.export.names import Names, error
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.export.remarks import Remarks
from vcpu_scenario.export.subject import Branch
from vcpu_scenario.export.text import comment, function


def definitions(branch: Branch, names: Names, remarks: Remarks) -> list[str]:
    """The functions of a clause; the last is the one that :func:`name_of` names.

    Raises :class:`Unexportable`.
    """
    expectation, case = branch.clause.expectation, branch.clause.case
    _refuse(expectation, case)
    if expectation.refused is not None:
        return []
    out = [*watch.never(branch, names), *watch.stops(branch, names)]
    exits = expectation.exits
    declared: list[str] = []
    if exits is None:
        out += after_exit(branch, names)
        body = ["do {", "\trun_vcpu();", f"}} while (go_on{branch.suffix}());", ""]
    elif all(item.least == item.most for item in exits):
        out += after_exit(branch, names) if case.reactions else ()
        body = list(_one_by_one(exits, branch, names, remarks))
        declared = ["int i;"] if any(line.startswith("for (i ") for line in body) else []
    else:
        out += [*after_exit(branch, names), *repeats.fits(branch, exits, names)]
        declared = repeats.declared(branch)
        body = repeats.in_some_order(branch)
    body = [
        *declared,
        *([""] if declared else []),
        *watch.hooks(branch),
        *body,
        *watch.told_all(expectation),
        *at_the_end(expectation.final, case, names),
    ]
    about = " ".join(expectation.about.split())
    told = ": ".join(filter(None, (branch.kernels, about)))
    head = f"static void {name_of(branch)}(void)"
    return [*out, *(comment(told) if told else []), *function(head, _trimmed(body)), ""]


def name_of(branch: Branch) -> str:
    """The function that runs a clause."""
    return f"expect_{branch.name}" if branch.name else "expect_exits"


def refusal_of(branch: Branch) -> str:
    """The errno with which a clause expects the set-up to be refused, in C; empty if it does
    not."""
    wanted = branch.clause.expectation.refused
    return error(wanted.value) if wanted is not None and isinstance(wanted.value, int) else ""


def actions_of(case: Case) -> Iterator[Action]:
    """All that the VMM does."""
    yield from case.setup
    yield from case.before
    for _, each in case.on:
        yield from each
    for reaction in case.reactions:
        yield from reaction.actions


def _refuse(expectation: Expectation, case: Case) -> None:
    if expectation.xfail is not None:
        raise Unexportable("a clause with `xfail`, which is known not to hold")
    if case.limits.repeats is not None:
        raise Unexportable("limits.repeats, the end after repeats of an exit")


def _trimmed(lines: Sequence[str]) -> list[str]:
    """Without blank lines at the end or one after another."""
    out: list[str] = []
    for line in lines:
        if line or (out and out[-1]):
            out.append(line)
    while out and not out[-1]:
        out.pop()
    return out


# -- exits that are known one by one --------------------------------------------------------------


def _one_by_one(
    exits: Sequence[ExpectedExit], branch: Branch, names: Names, remarks: Remarks
) -> Iterator[str]:
    case = branch.clause.case
    on, index = dict(case.on), 0
    total = sum(item.least for item in exits)
    for item in exits:
        if not item.least:
            continue
        acting = any(on.get(index + n) for n in range(item.least))
        if item.least > 1 and not acting and index + item.least < case.limits.exits:
            yield from _again(item, branch, names, remarks)
            index += item.least
            continue
        for n in range(item.least):
            last = index == case.limits.exits - 1
            yield from _said(item, remarks) if not n else ()
            yield "run_vcpu();"
            yield from (f"expect({each});" for each in conditions(item, names))
            if not last or case.limits.act_at_last:
                yield from _reaction(item, on.get(index, ()), branch, names)
            if item.kind in ENDS and on.get(index) and not last and not case.reactions:
                yield f"{GOES_ON} = true;"
            yield ""
            index += 1
    if total < case.limits.exits:
        yield "expect_the_end();"


def _said(item: ExpectedExit, remarks: Remarks) -> Iterator[str]:
    """What the scenario says of an exit."""
    said = item.note or remarks.of(item.span)
    yield from comment(said) if said else ()


def _again(item: ExpectedExit, branch: Branch, names: Names, remarks: Remarks) -> Iterator[str]:
    """An exit that comes several times in a row."""
    yield from _said(item, remarks)
    yield f"for (i = 0; i < {item.least}; i++) {{"
    yield "\trun_vcpu();"
    yield from (f"\texpect({each});" for each in conditions(item, names))
    yield from (f"\t{line}" for line in _reaction(item, (), branch, names))
    yield "}"
    yield ""


def _reaction(
    item: ExpectedExit, acting: Sequence[Action], branch: Branch, names: Names
) -> Iterator[str]:
    """What the VMM does of itself after an exit, and what it is asked to do."""
    case = branch.clause.case
    if case.reactions:
        yield f"go_on{branch.suffix}();"
        return
    if names.debugger:
        yield from _attended(acting, case, names)
        return
    kinds = {check.field: check for check in item.checks}
    skips = case.skip_brk == "always" or (case.skip_brk == "without-actions" and not acting)
    failed = "errno" in kinds or "ret" in kinds
    reason = kinds.get("exit")
    if reason is not None and reason.value == "MMIO" and not failed:
        yield "handle_mmio();"
    elif reason is None and not failed:
        yield f"handle_exit({'true' if skips else 'false'});"
    elif reason is not None and reason.value == "DEBUG" and not failed and skips:
        hsr = kinds.get("hsr")
        if hsr is None or hsr.mask is None or not isinstance(hsr.value, int):
            yield "handle_exit(true);"
        elif esr.class_of(hsr.value) == esr.EC_BRK64:
            yield "skip_instruction();"
    yield from actions.statements(acting, names)


def _attended(acting: Sequence[Action], case: Case, names: Names) -> Iterator[str]:
    """The same of a VMM that does more for its debugger."""
    skips = case.skip_brk == "always" or (case.skip_brk == "without-actions" and not acting)
    yield f"handle_exit({'true' if skips else 'false'});"
    yield from actions.statements(acting, names)
