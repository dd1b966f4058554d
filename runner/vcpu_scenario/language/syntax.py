"""What is wrong with a text that is not YAML, and what mends it: most often a line is indented
otherwise than those that it belongs to, or a bracket or a quote is not closed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from vcpu_scenario.language.quoting import Bracket, last_open, surplus, syntax_help, unclosed
from vcpu_scenario.source import Diagnostic, Span, split_lines

_ITEM: Final = re.compile(r" *- ")
_COMMENT: Final = re.compile(r" #.*[\]}]")
_DASH: Final = re.compile(r" *-\w")
_END: Final = {"{": "}", "[": "]"}


def syntax_error(error: Any, text: str, file: str, too_deep: str) -> Diagnostic:
    """What the parser's ``error`` says; ``too_deep`` is the message of what is nested so."""
    mark, where = error.problem_mark or error.context_mark, error.context_mark
    lines = split_lines(text)
    number, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    while number > len(lines) or (number > 1 and not lines[number - 1].strip()):
        number -= 1
        column = len(lines[number - 1]) + 1 if number <= len(lines) else 1
    context = error.context or ""
    problem = error.problem or context
    if "nesting depth" in problem:
        # Newer versions of libyaml have a limit of their own, and scan ahead of what they give.
        return Diagnostic(too_deep, Span(file, number, column, number, column + 1))
    starts_above = bool(context) and where is not None and where.line + 1 < number
    is_flow = starts_above and "flow" in context and "expected ','" in problem
    if is_flow and _indent(lines[number - 1]) <= _indent(lines[where.line]):
        opens = Bracket(lines[where.line][where.column], where.line + 1, where.column + 1)
        return _open(opens, lines, file, f"line {number}, which begins something else")
    at_end = mark is not None and not "".join(lines[mark.line :])[mark.column :].strip()
    if at_end and "flow" in context and (last := last_open(lines)) is not None:
        return _open(last, lines, file, "the end of the file")
    if starts_above:
        context += f" that starts at line {where.line + 1}"
    return Diagnostic(
        f"not YAML: {problem}",
        Span(file, number, column, number, column + 1),
        found=context if error.problem else "",
        help=_help(problem, lines[:number], column, where if starts_above else None),
    )


def _open(bracket: Bracket, lines: Sequence[str], file: str, found: str) -> Diagnostic:
    """What is said of a bracket that is open where ``found`` comes."""
    letter, line, column = bracket
    return Diagnostic(
        f"not YAML: this `{letter}` is not closed",
        Span(file, line, column, line, column + 1),
        found=found,
        help=f"end it with `{_END[letter]}`{_hidden(lines[line - 1])}",
    )


def _help(problem: str, lines: Sequence[str], column: int, where: Any) -> str:
    """``lines`` end with the one at fault; ``where`` is the beginning of what it stands in, if that
    is above."""
    line = lines[-1]
    first = _indent(line) + 1
    if where is not None and _DASH.match(line) and "'-' indicator" in problem:
        return "a space stands behind the `-` of an item"
    if where is not None and first == column and "'-' indicator" in problem:
        at = f"as in line {where.line + 1}"
        if first > where.column + 1:
            return f"the items of this list begin at column {where.column + 1}, {at}"
        return f"what belongs to an item is indented as far as the text behind its `- `, {at}"
    if where is not None and _ITEM.match(line) and "expected key" in problem:
        above = (n for n, other in enumerate(lines[:-1], 1) if _ITEM.match(other))
        near = [n for n in above if n > where.line and lines[n - 1].index("-") + 1 > first]
        if near:
            # Of the lists that are open there, the one that it is closest to.
            deep, last = min((lines[n - 1].index("-") + 1, -n) for n in near)
            return f"items of one list begin at the same column, in line {-last} at {deep}"
    if where is not None and "expected ','" in problem:
        return f"end the line above with a comma, or close what opens in line {where.line + 1}"
    other = {"]": "}", "}": "]"}.get(line[column - 1 : column])
    if other is not None and f"or '{other}'" in problem:
        return f"write a `{other}` before it, which closes what is open there"
    if bracket := surplus(line):
        return f"leave out a `{bracket}`: more are closed than open"
    opens = unclosed(lines)
    if opens and ("end of stream" in problem or opens < len(lines)):
        return f"close the quote that opens in line {opens}"
    return syntax_help(problem, line, column)


def _hidden(line: str) -> str:
    comment = _COMMENT.search(line)
    return ": what stands behind ` #` is a comment" if comment else ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
