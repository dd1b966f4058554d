"""What the VMM does after an exit, in C, where nothing says beforehand which one that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from vcpu_scenario.case import Action, Case
from vcpu_scenario.export import actions
from vcpu_scenario.export.conditions import conditions
from vcpu_scenario.export.names import Names
from vcpu_scenario.export.reactions import as_expected
from vcpu_scenario.export.subject import Branch
from vcpu_scenario.export.text import comment, function, joined

ENDS: Final = ("error", "system_event")
"""Exits that end a run without actions."""
GOES_ON: Final = "goes_on"
"""In C, whether the VMM acts after one of those."""


def _goes_on_past_an_end(branch: Branch) -> bool:
    """Whether the VMM may act at an exit that ends a run without actions."""
    exits, case = branch.clause.expectation.exits, branch.clause.case
    if case.limits.stop_on_event:
        return False
    if exits is None or case.reactions:  # any of them may be such an exit
        return bool(case.reactions) or any(acting for _, acting in case.on)
    return any(one.kind in ENDS for one in exits[:-1])


def after_exit(branch: Branch, names: Names) -> Iterator[str]:
    """What the VMM does after each exit, and whether it continues."""
    case, past = branch.clause.case, _goes_on_past_an_end(branch)
    on = [(number, acting) for number, acting in case.on if acting]
    looking = list(_looking(branch, on, names))
    acts = "".join(f" && nr_exits != {number + 1}" for number, _ in on)
    ends = _ends(case, " && !acting" if looking else acts, past=past)
    body = [*looking, *joined(ends, "if (", ")", "||"), "\treturn false;"]
    if looking:
        body += _at_patterns(case, names, past=past)
        body += _at_numbers(on, names, [], [], "break;") if on else []
    else:
        acting = f"handle_exit({'true' if case.skip_brk == 'always' else 'false'});"
        idle = f"handle_exit({'false' if case.skip_brk == 'never' else 'true'});"
        goes_on = [f"{GOES_ON} = true;"] if past else []
        body += _at_numbers(on, names, [acting], goes_on, idle) if on else [idle]
    more = f"nr_exits != {case.limits.exits}" if case.limits.act_at_last else "true"
    body.append(f"return {more};")
    yield from comment("What the VMM does after an exit, and whether it runs the vCPU again")
    yield from function(f"static bool go_on{branch.suffix}(void)", body)
    yield ""


def _ends(case: Case, acts: str, *, past: bool) -> list[str]:
    """What ends the run before the VMM does anything; ``acts`` follows what does so only where it
    does not act."""
    ends = [f"(is_over(){acts})" if past else "is_over()"]
    if not case.limits.act_at_last:
        ends.append(f"nr_exits == {case.limits.exits}")
    if case.limits.stop_on_intr:
        ends.append(f"(result == -EINTR{acts})" if acts else "result == -EINTR")
    return ends


def _at_patterns(case: Case, names: Names, *, past: bool) -> Iterator[str]:
    skips = {"always": "true", "never": "false", "without-actions": "!acting"}
    yield f"handle_exit({skips[case.skip_brk]});"
    if past:
        yield f"{GOES_ON} = acting;"
    for due, reaction in zip(_dues(case), case.reactions, strict=True):
        done = actions.statements(reaction.actions, names)
        yield from (f"if ({due}) {{", *(f"\t{line}" for line in done), "}")


def _at_numbers(
    on: Sequence[tuple[int, Sequence[Action]]],
    names: Names,
    before: Sequence[str],
    behind: Sequence[str],
    idle: str,
) -> Iterator[str]:
    """What is done at exits by their number, with what comes ``before`` and ``behind`` that at each
    of them, and what is done at any other."""
    yield "switch (nr_exits - 1) {"
    for number, each in on:
        done = [*before, *actions.statements(each, names), *behind, "break;"]
        yield from (f"case {number}:", *(f"\t{line}" for line in done))
    yield from ("default:", f"\t{idle}", "}")


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
