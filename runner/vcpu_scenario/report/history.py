"""How a scenario's exits changed from release to release: as text, as Markdown, as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Final

from vcpu_scenario.analysis.history import Cause, Change, Group, History
from vcpu_scenario.host.printable import json_text, printable, quiet
from vcpu_scenario.kernels.release import parse_release
from vcpu_scenario.report.cite import commit_words, rules
from vcpu_scenario.report.exitdiff import exits, label
from vcpu_scenario.report.markdown import escaped
from vcpu_scenario.report.styled import Line, line
from vcpu_scenario.trace import Exit
from vcpu_scenario.verdict.result import guest_of

WIDTH: Final = 76
"""Columns of a mail that is still whole when it has been quoted once or twice."""


def text(histories: Sequence[History], width: int = WIDTH) -> list[Line]:
    """Every line: what a scenario is, its groups in a table, then each group's exits."""
    lines: list[Line] = []
    for history in histories:
        lines += [line()] if lines else []
        lines += _text(history, width)
    return lines


def _text(history: History, width: int) -> Iterator[Line]:
    for part in textwrap.wrap(history.case.scenario.title, width):
        yield line((part, "title"))
    yield line((_name(history), "place"))
    yield line()
    table = list(rows(history))
    column = max(len(kernels) for kernels, _, _ in table)
    for kernels, what, because in table:
        indent = " " * (column + 2)
        told = textwrap.wrap(": ".join(filter(None, (what, because))), width - column - 2)
        yield line((f"{kernels:<{column}}  ", "title"), told[0])
        yield from (line(f"{indent}{more}") for more in told[1:])
    for kernel, reason in history.left_out:
        yield line((f"{kernel:<{column}}  ", "title"), (f"left out: {reason}", "skip"))
    for number, group in enumerate(history.groups):
        yield line()
        yield line((kernels_of(group), "title"))
        for mark, shown in exits(history, number):
            for part in textwrap.wrap(shown, width - 2, subsequent_indent=" " * 9):
                yield line((f"{mark} {part}", _STYLES[mark]))
        for shown in why(group.change):
            yield from _paragraph(shown, width)


_STYLES: Final = {"+": "pass", "-": "fail", " ": ""}


def _paragraph(shown: str, width: int) -> Iterator[Line]:
    indent = " " * (len(shown) - len(shown.lstrip()))
    yield from (
        line((part, "rule"))
        for part in textwrap.wrap(
            shown, width, subsequent_indent=f"{indent}  ", break_on_hyphens=False
        )
    )


def markdown(histories: Sequence[History]) -> str:
    """The same for a mail, a commit message or an issue: tables, and the exits as diffs."""
    return quiet("\n".join("\n".join(_markdown(history)) + "\n" for history in histories))


def _markdown(history: History) -> Iterator[str]:
    yield f"## {escaped(history.case.scenario.title)}"
    yield ""
    yield f"`{printable(_name(history))}`"
    yield ""
    yield "| kernels | first difference | because of |"
    yield "| --- | --- | --- |"
    for row in rows(history):
        yield f"| {' | '.join(escaped(part) for part in row)} |"
    for kernel, reason in history.left_out:
        yield f"| {kernel} | left out: {escaped(reason)} | |"
    for number, group in enumerate(history.groups):
        yield ""
        yield f"### {kernels_of(group)}"
        yield ""
        yield "```diff"
        yield from (printable(f"{mark} {shown}".rstrip()) for mark, shown in exits(history, number))
        yield "```"
        for place, shown in enumerate(why(group.change)):
            if place == 0:
                yield ""
            yield f"{'  ' if shown.startswith(' ') else ''}- {escaped(shown.strip())}"


def document(histories: Sequence[History]) -> str:
    """The same as JSON: a list of histories, each with its ``groups``.

    A group has ``kernels``, ``exits`` with the field names of recorded traces, and but for the
    first a ``change``: ``exit``, the indices of the first two exits that differ, in the group
    before and in this one; ``differences`` as :class:`vcpu_scenario.verdict.traces.Difference` has
    them; ``vmm``, whether the scenario's VMM is what changed; and ``rules``.
    """
    return json_text([_history(each) for each in histories])


def _history(history: History) -> dict[str, Any]:
    case = history.case
    return {
        "scenario": str(case.scenario.path),
        "name": _name(history),
        "title": case.scenario.title,
        "vmm": case.vmm,
        "params": dict(case.params),
        "left_out": [{"kernel": name, "reason": reason} for name, reason in history.left_out],
        "groups": [_group(group) for group in history.groups],
    }


def _group(group: Group) -> dict[str, Any]:
    out: dict[str, Any] = {
        "kernels": list(group.kernels),
        "exits": [exit_.to_json() for exit_ in group.trace.exits],
    }
    if group.change is not None:
        out["change"] = _change(group.change, group)
    return out


def _change(change: Change, group: Group) -> dict[str, Any]:
    name = guest_of(group.case).name
    differences = [
        {
            "at": found.at,
            "exits": list(found.exits),
            "field": found.field,
            "words": found.words(name),
        }
        for found in change.comparison.differences
    ]
    return {
        "exit": list(change.comparison.differences[0].exits),
        "differences": differences,
        "vmm": change.vmm,
        "rules": [_rule(cause) for cause in change.causes],
    }


def _rule(cause: Cause) -> dict[str, Any]:
    ((_, rule),) = rules([cause.rule])
    return {
        "name": cause.rule,
        "gained": cause.gained,
        "summary": rule.summary if rule else "",
        "evidence": rule.evidence if rule else "",
        "commits": [
            {"id": commit.id, "subject": commit.subject, "first": commit.first}
            for commit in (rule.commits if rule else ())
        ],
    }


def _name(history: History) -> str:
    """The case's id without its kernel: ``single-step/load[width=4] with plain``."""
    case = history.case
    kind = parse_release(case.kernel).kind.lstrip("-+")
    where = f" on {kind}" if kind else ""
    return f"{case.id.rpartition('@')[0]} with {case.vmm}{where}"


def kernels_of(group: Group) -> str:
    first, last = group.kernels[0], group.kernels[-1]
    return first if first == last else f"{first} to {last}"


def rows(history: History) -> Iterator[tuple[str, str, str]]:
    """(kernels, what differs first, the rules that do it) of each group."""
    for group in history.groups:
        if group.change is None:
            yield kernels_of(group), _counted(group.trace.exits), ""
        else:
            yield kernels_of(group), _first(group.change), _because(group.change)


def _counted(exits: Sequence[Exit]) -> str:
    return f"{len(exits)} exit{'' if len(exits) == 1 else 's'}"


def _first(change: Change) -> str:
    first = change.comparison.differences[0]
    old, new = first.exits
    if first.at != "exit":
        return f"{label(first)} differs"
    if new is None:
        return f"exit {old} is gone"
    if old is None:
        return f"exit {new} is new"
    return f"exit {new} differs" if first.field else f"exit {new} is another"


def _because(change: Change) -> str:
    told = [f"{'' if cause.gained else 'no longer '}{cause.rule}" for cause in change.causes]
    return ", ".join([*told, *(["the VMM does something else"] if change.vmm else [])])


def why(change: Change | None) -> Iterator[str]:
    """A paragraph for each rule that is a cause, and an indented one for each commit."""
    if change is None:
        return
    if change.vmm:
        yield "Because the scenario's VMM does something else on these kernels."
    for cause in change.causes:
        ((_, rule),) = rules([cause.rule])
        verb = "of" if cause.gained else "there is no longer"
        yield f"Because {verb} {cause.rule}: {rule.summary if rule else 'not in the table'}"
        commits = rule.commits if rule is not None and cause.gained else ()
        yield from (f"  {commit_words(commit)}" for commit in commits)
        if rule is not None and not commits:
            yield f"  {rule.evidence}"
