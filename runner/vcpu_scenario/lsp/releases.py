"""What an expected exit is on each release, and the rules that make it so: found by running."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from time import process_time
from typing import Final, NamedTuple

from msgspec.structs import replace

from vcpu_scenario.expectation import ExpectedExit
from vcpu_scenario.kernels.table import kernel
from vcpu_scenario.kvm.registers import reg_id
from vcpu_scenario.language.model import Scenario, ScenarioCase
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.report.beside import Beside, beside
from vcpu_scenario.report.cite import Citations
from vcpu_scenario.report.markdown import escaped
from vcpu_scenario.running.causes import causes, run_as
from vcpu_scenario.running.execute import judged
from vcpu_scenario.source import Span
from vcpu_scenario.verdict.exits import describe_exit
from vcpu_scenario.verdict.result import Result, guest_of

_SECONDS_FOR_RULES: Final = 4.0
"""Of a processor: to find the rules behind an exit runs a case dozens of times."""


class _Seen(NamedTuple):
    """What came on one kernel of what is expected at a place: ``exits`` by their numbers."""

    case: ScenarioCase
    words: str
    exits: tuple[int, ...] = ()


def told(scenario: Scenario, line: int, column: int) -> str:
    """A table of releases and what the exit expected at the place is on each, in Markdown, and the
    rules behind it; nothing where no exit is expected there."""
    cases = _cases(scenario, line, column)
    if not cases:
        return ""
    groups = [
        list(group)
        for _, group in groupby(
            (_seen(case, line, column) for case in cases), lambda seen: seen.words
        )
    ]
    lines = ["| kernels | exit |", "| --- | --- |"]
    lines += [f"| {_kernels(group)} | {group[0].words} |" for group in groups]
    first = cases[0]
    values = (first.vmm, *(f"{name}={value}" for name, value in first.params.items()))
    lines += ["", f"With {escaped(', '.join(values))}, on the emulated machine."]
    lines += _rules(groups)
    return "\n".join(lines)


def _cases(scenario: Scenario, line: int, column: int) -> list[ScenarioCase]:
    """Of the first parameters and VMM with which the exit is expected, the case on each kernel."""
    for combination in scenario.combinations:
        only = _only(scenario, combination.name)
        for vmm in scenario.vmms:
            cases = [case for case in only.cases(vmms=[vmm]) if case.expectation is not None]
            if any(_expected(case, line, column) for case in cases):
                clauses = {
                    case.expectation.span
                    for case in cases
                    if case.expectation is not None and _expected(case, line, column)
                }
                return [c for c in cases if c.expectation and c.expectation.span in clauses]
    return []


def _only(scenario: Scenario, name: str) -> Scenario:
    return replace(scenario, combinations=tuple(c for c in scenario.combinations if c.name == name))


def _expected(case: ScenarioCase, line: int, column: int) -> Sequence[ExpectedExit]:
    exits = case.expectation.exits if case.expectation is not None else None
    return [each for each in exits or () if _holds(each.span, line, column)]


def _holds(span: Span, line: int, column: int) -> bool:
    start, end = (span.line, span.column), (span.end_line, span.end_column)
    return start <= (line, column) < end


def _seen(case: ScenarioCase, line: int, column: int) -> _Seen:
    if not _expected(case, line, column):
        return _Seen(case, "not expected")
    try:
        result = judged(case, run_as(kernel(case.kernel), case.case))
    except Unsupported as unsupported:
        return _Seen(case, f"not run: {escaped(str(unsupported))}")
    rows = [row for row in beside(result) or () if row.span and _holds(row.span, line, column)]
    came = tuple(row.exit for row in rows if row.exit is not None)
    return _Seen(case, escaped("; ".join(_words(result, rows))) or "not reached", came)


def _words(result: Result, rows: Sequence[Beside]) -> Iterator[str]:
    """What came for an expected exit, runs of the same words once."""
    assert result.trace is not None
    exits, guest = result.trace.exits, guest_of(result.case)
    shown = []
    for row in rows:
        if row.exit is None:
            shown.append("missing")
            continue
        wrong = [field for field in row.fields if not field.ok]
        differs = "".join(f"; {field.name} is not {field.expected}" for field in wrong)
        registers = "".join(
            f", {field.name}={field.found}"
            for field in row.fields
            if field.expected is not None and field.name != "pc" and reg_id(field.name) is not None
        )
        shown.append(f"{describe_exit(exits[row.exit], guest)}{registers}{differs}")
    for words, same in groupby(shown):
        count = sum(1 for _ in same)
        yield words if count == 1 else f"{words}, {count} times"


def _kernels(group: Sequence[_Seen]) -> str:
    first, last = group[0].case.kernel, group[-1].case.kernel
    return first if first == last else f"{first} to {last}"


def _rules(groups: Sequence[Sequence[_Seen]]) -> Iterator[str]:
    """Each rule without which the exit would be another, by the kernels that it is so on."""
    until = process_time() + _SECONDS_FOR_RULES
    citations = Citations()
    for group in groups:
        newest = group[-1]
        if not newest.exits:
            continue
        if process_time() > until:
            yield ""
            yield "To find the rules behind the others takes long: `scenario explain`."
            return
        for cause in causes(newest.case.case, newest.case.kernel):
            if cause.exit not in newest.exits:
                continue
            for name, words in citations.of(cause.rules):
                yield ""
                holding = [seen for seen in group if name in kernel(seen.case.kernel).rules]
                said = f": {escaped(words)}" if words else ""
                yield f"- {_kernels(holding or group)}: `{name}`{said}"
