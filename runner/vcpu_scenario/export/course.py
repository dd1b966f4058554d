"""The course of a run in C: what is expected of each exit, and what the VMM does after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from vcpu_scenario.arm64 import esr
from vcpu_scenario.case import Action, Case
from vcpu_scenario.expectation import Expectation, ExpectedExit
from vcpu_scenario.export import actions, watch
from vcpu_scenario.export.conditions import conditions
from vcpu_scenario.export.final import at_the_end
from vcpu_scenario.export.names import Names, error
from vcpu_scenario.export.reactions import as_expected
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.export.remarks import Remarks
from vcpu_scenario.export.subject import Branch
from vcpu_scenario.export.text import comment, function, joined

_ENDS: Final = ("error", "system_event")
"""Exits that end a run without actions."""
GOES_ON: Final = "goes_on"
"""In C, whether the VMM acts after one of those."""

_MOST_PLACES: Final = 60


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
        out += _after_exit(branch, names)
        body = _to_the_end(branch)
    elif all(item.least == item.most for item in exits):
        out += _after_exit(branch, names) if case.reactions else ()
        body = list(_one_by_one(exits, branch, names, remarks))
        declared = ["int i;"] if any(line.startswith("for (i ") for line in body) else []
    else:
        out += [*_after_exit(branch, names), *_fits(branch, exits, names)]
        declared = [f"uint64_t places = may_be_at(1, {_table(branch, exits)});"]
        body = _in_some_order(branch, exits)
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
            if item.kind in _ENDS and on.get(index) and not last and not case.reactions:
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


# -- exits that may come more or less often -------------------------------------------------------


def _fits(branch: Branch, exits: Sequence[ExpectedExit], names: Names) -> Iterator[str]:
    cases: list[str] = []
    for number, item in enumerate(exits):
        fitting = conditions(item, names) or ["true"]
        cases += [f"case {number}:", *joined(fitting, "\treturn ", ";")]
    body = ["switch (nr) {", *cases, "default:", "\treturn false;", "}"]
    places = list(_places(exits))
    yield from comment("Whether the last exit is the one expected with this number")
    yield from function(f"static bool fits{branch.suffix}(int nr)", body)
    yield ""
    yield f"static const struct expected_exit exits{branch.suffix}[] = {{"
    yield from (f"\t{{ {number}, {how_often} }}," for number, how_often in places)
    yield "};"
    yield ""
    if len(places) > _MOST_PLACES:
        raise Unexportable(
            f"exits that repeat {len(places)} times or fewer: at most {_MOST_PLACES}"
        )


def _places(exits: Sequence[ExpectedExit]) -> Iterator[tuple[int, str]]:
    for number, item in enumerate(exits):
        yield from ((number, "ONCE") for _ in range(min(item.least, _MOST_PLACES + 1)))
        if item.most is None:
            yield number, "ANY"
        else:
            more = min(item.most - item.least, _MOST_PLACES + 1)
            yield from ((number, "MAYBE") for _ in range(more))


def _table(branch: Branch, exits: Sequence[ExpectedExit]) -> str:
    return f"exits{branch.suffix}, {len(list(_places(exits)))}"


def _in_some_order(branch: Branch, exits: Sequence[ExpectedExit]) -> list[str]:
    table, suffix = _table(branch, exits), branch.suffix
    return [
        "do {",
        "\trun_vcpu();",
        f"\tplaces = one_further(places, {table}, fits{suffix});",
        "\tif (!places)",
        '\t\tunexpected("one that may come here");',
        f"\tplaces = may_be_at(places, {table});",
        f"}} while (go_on{suffix}());",
        f"if (!(places >> {len(list(_places(exits)))} & 1))",
        '\tfail("after exit %d: others were expected, and none came", nr_exits - 1);',
        "",
    ]


def _to_the_end(branch: Branch) -> list[str]:
    return ["do {", "\trun_vcpu();", f"}} while (go_on{branch.suffix}());", ""]


def _goes_on_past_an_end(branch: Branch) -> bool:
    """Whether the VMM may act at an exit that ends a run without actions."""
    exits, case = branch.clause.expectation.exits, branch.clause.case
    if case.limits.stop_on_event:
        return False
    if exits is None or case.reactions:  # any of them may be such an exit
        return bool(case.reactions) or any(acting for _, acting in case.on)
    return any(one.kind in _ENDS for one in exits[:-1])


def _after_exit(branch: Branch, names: Names) -> Iterator[str]:
    """What the VMM does after each exit, and whether it goes on."""
    case = branch.clause.case
    suffix = branch.suffix
    on = [(number, acting) for number, acting in case.on if acting]
    looking = list(_looking(branch, on, names))
    acts = "".join(f" && nr_exits != {number + 1}" for number, _ in on)
    acts = " && !acting" if looking else acts
    past = _goes_on_past_an_end(branch)
    over = f"(is_over(){acts})" if past else "is_over()"
    goes_on = [f"{GOES_ON} = true;"] if past else []
    more = f"nr_exits != {case.limits.exits}"
    last = [] if case.limits.act_at_last else [more.replace("!=", "==")]
    ends = [over, *last]
    if case.limits.stop_on_intr:
        ends.append(f"(result == -EINTR{acts})" if acts else "result == -EINTR")
    body = [*looking, *joined(ends, "if (", ")", "||"), "\treturn false;"]
    idle = f"handle_exit({'false' if case.skip_brk == 'never' else 'true'});"
    acting = f"handle_exit({'true' if case.skip_brk == 'always' else 'false'});"
    if looking:
        body.append("handle_exit(!acting);" if case.skip_brk == "without-actions" else acting)
        body += [f"{GOES_ON} = acting;"] if past else []
        for due, reaction in zip(_dues(case), case.reactions, strict=True):
            done = actions.statements(reaction.actions, names)
            body += [f"if ({due}) {{", *(f"\t{line}" for line in done), "}"]
        acting, goes_on, idle = "", [], "break;"
    if on:
        body.append("switch (nr_exits - 1) {")
        for number, each in on:
            done = [*filter(None, [acting]), *actions.statements(each, names), *goes_on, "break;"]
            body += [f"case {number}:", *(f"\t{line}" for line in done)]
        body += ["default:", f"\t{idle}", "}"]
    elif not looking:
        body.append(idle)
    body.append("return true;" if last else f"return {more};")
    yield from comment("What the VMM does after an exit, and whether it runs the vCPU again")
    yield from function(f"static bool go_on{suffix}(void)", body)
    yield ""


def _dues(case: Case) -> list[str]:
    """In C, whether each of the reactions is due."""
    return [f"due_{number}" for number in range(len(case.reactions))]


def _looking(
    branch: Branch, on: Sequence[tuple[int, Sequence[Action]]], names: Names
) -> Iterator[str]:
    """Which reactions are due after the exit, where its number does not say so, and whether the
    VMM acts there at all."""
    case = branch.clause.case
    if not case.reactions:
        return
    dues = _dues(case)
    counts = {due: f"nr_{due}" for due, one in zip(dues, case.reactions, strict=True) if one.nth}
    if counts:
        yield f"static int {', '.join(counts.values())};"
    for due, reaction in zip(dues, case.reactions, strict=True):
        wanted = conditions(as_expected(reaction.pattern, branch.clause.expectation.span), names)
        if due in counts:
            wanted.append(f"++{counts[due]} == {reaction.nth}")
        yield from joined(wanted or ["true"], f"bool {due} = ", ";", "&&")
    acting = [*dues, *(f"nr_exits == {number + 1}" for number, _ in on)]
    yield from joined(acting, "bool acting = ", ";", "||")
    yield ""
