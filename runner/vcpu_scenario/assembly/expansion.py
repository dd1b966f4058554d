"""Macros of assembly source, expanded here: none reaches an assembler.

An assembler that expands macros itself makes statements that nobody has seen, and one of them may
open any file. ``.macro``, ``.irp`` and ``.irpc`` are therefore written out before anything is
looked at, with the meaning they have in GNU as: arguments by place or by name, defaults, ``:req``
and ``:vararg``, ``\\name``, ``\\()`` and ``\\@``. ``.rept`` stays: it repeats what stands in it.
A macro that calls itself is refused, since its end would hang on conditions that only an assembler
can decide; so are ``.altmacro``, ``.exitm`` and ``.purgem``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct, field

from vcpu_scenario.assembly.text import NAME, Refused, Statement, statements_of

MOST_STATEMENTS: Final = 50_000
MOST_CHARACTERS: Final = 16 << 20
"""Of all statements that macros make."""
LONGEST: Final = 1 << 16
"""Characters of one statement."""
_DEEPEST: Final = 32

_ENDS: Final = {".macro": ".endm", ".irp": ".endr", ".irpc": ".endr", ".rept": ".endr"}
_REFERENCE: Final = re.compile(r"\\(\(\)|@|[A-Za-z_$.][\w$]*)", re.ASCII)
_PARAMETER: Final = re.compile(
    r"\s*([A-Za-z_$.][\w$.]*)\s*(?::\s*(req|vararg)\s*)?(?:=\s*(\"(?:\\.|[^\"\\])*\"|[^\s,]*))?\s*,?",
    re.ASCII,
)
_NAMED: Final = re.compile(r"([A-Za-z_$.][\w$.]*)\s*=(?!=)\s*(.*)", re.ASCII | re.DOTALL)


class _Parameter(Struct, frozen=True):
    name: str
    kind: str
    default: str


class _Macro(Struct, frozen=True):
    name: str
    parameters: tuple[_Parameter, ...]
    body: tuple[Statement, ...]


class Expander(Struct):
    """Writes out the macros of a source."""

    _macros: dict[str, _Macro] = field(default_factory=dict)
    _calls: int = 0
    _made: int = 0
    _characters: int = 0

    def expand(self, statements: Iterable[Statement]) -> Iterator[Statement]:
        """The statements with every macro written out; raises :class:`Refused`."""
        return self._expand(iter(statements), ())

    def _expand(self, rest: Iterator[Statement], within: tuple[str, ...]) -> Iterator[Statement]:
        for statement in rest:
            name = statement.name
            if name == ".macro":
                yield from _labels(statement)
                self._define(statement, _block(statement, rest))
            elif name in (".irp", ".irpc"):
                yield from _labels(statement)
                yield from self._repeat(statement, _block(statement, rest), within)
            elif name in self._macros and not _assigns(statement):
                yield from _labels(statement)
                yield from self._call(statement, self._macros[name], within)
            else:
                yield statement

    def _define(self, at: Statement, body: tuple[Statement, ...]) -> None:
        text = _operands(at)
        found = NAME.match(text)
        if found is None:
            raise Refused(at, "the macro has no name")
        name = found.group().lower()
        if name in self._macros:
            raise Refused(at, f"the macro `{name}` is there already")
        if name.startswith("."):
            raise Refused(at, "the name of a macro must not begin with a dot")
        parameters = tuple(_parameters(at, text[found.end() :].lstrip(" \t,")))
        self._macros[name] = _Macro(name, parameters, body)

    def _call(self, at: Statement, macro: _Macro, within: tuple[str, ...]) -> Iterator[Statement]:
        if macro.name in within or len(within) >= _DEEPEST:
            raise Refused(at, f"the macro `{macro.name}` calls itself, which is not supported")
        values = _bound(at, macro)
        yield from self._written(at, macro.body, values, (*within, macro.name))

    def _repeat(
        self, at: Statement, body: tuple[Statement, ...], within: tuple[str, ...]
    ) -> Iterator[Statement]:
        found = NAME.match(_operands(at))
        if found is None:
            raise Refused(at, f"`{at.name}` needs the name of a symbol")
        text = _operands(at)[found.end() :].strip().removeprefix(",").strip()
        values = list(_unquoted(text)) if at.name == ".irpc" else _arguments(text)
        if len(within) >= _DEEPEST:
            raise Refused(at, f"`{at.name}` is nested too deep")
        for value in values or [""]:
            yield from self._written(at, body, {found.group(): value}, (*within, at.name))

    def _written(
        self,
        at: Statement,
        body: tuple[Statement, ...],
        values: Mapping[str, str],
        within: tuple[str, ...],
    ) -> Iterator[Statement]:
        self._calls += 1
        return self._expand(self._substituted(at, body, values, self._calls - 1), within)

    def _substituted(
        self, at: Statement, body: tuple[Statement, ...], values: Mapping[str, str], call: int
    ) -> Iterator[Statement]:
        def value(reference: re.Match[str]) -> str:
            name = reference[1]
            if name == "()":
                return ""
            return str(call) if name == "@" else values.get(name, reference[0])

        for statement in body:
            if "\\" not in statement.code:
                made = [statement]
            else:
                text = _REFERENCE.sub(value, statement.code)
                if len(text) > LONGEST:
                    raise Refused(at, f"a statement is longer than {LONGEST:,} characters")
                made = [
                    found._replace(line=statement.line, start=statement.start)
                    for found in statements_of(text)
                ]
            for found in made:
                self._made += 1
                self._characters += len(found.code)
                if self._made > MOST_STATEMENTS or self._characters > MOST_CHARACTERS:
                    raise Refused(at, f"macros make more than {MOST_STATEMENTS:,} statements")
                yield found


def _block(opening: Statement, rest: Iterator[Statement]) -> tuple[Statement, ...]:
    """What stands up to the end of the block, blocks within it included."""
    ends = [_ENDS[opening.name]]
    body: list[Statement] = []
    for statement in rest:
        name = statement.name
        if name == ends[-1]:
            ends.pop()
            if not ends:
                return tuple(body)
        elif name in _ENDS:
            ends.append(_ENDS[name])
        body.append(statement)
    raise Refused(opening, f"`{opening.name}` has no `{_ENDS[opening.name]}`")


def _labels(statement: Statement) -> Iterator[Statement]:
    """The labels before a directive, which stay where it is written out."""
    if statement.mask[: statement.body].strip():
        end = statement.body
        yield statement._replace(code=statement.code[:end], mask=statement.mask[:end])


def _operands(statement: Statement) -> str:
    found = NAME.match(statement.mask, statement.body)
    assert found is not None
    return statement.code[found.end() :].strip()


def _assigns(statement: Statement) -> bool:
    found = NAME.match(statement.mask, statement.body)
    return found is not None and statement.mask[found.end() :].lstrip().startswith("=")


def _parameters(at: Statement, text: str) -> Iterator[_Parameter]:
    place = 0
    while place < len(text):
        found = _PARAMETER.match(text, place)
        if found is None or found.end() == place:
            raise Refused(at, "the parameters of the macro cannot be read")
        yield _Parameter(found[1], found[2] or "", _unquoted(found[3] or ""))
        place = found.end()


def _bound(at: Statement, macro: _Macro) -> dict[str, str]:
    """The value of each parameter in the call ``at``."""
    values = {parameter.name: parameter.default for parameter in macro.parameters}
    given: set[str] = set()
    text = _operands(at)
    variable = next((p.name for p in macro.parameters if p.kind == "vararg"), "")
    fixed = [p.name for p in macro.parameters if p.kind != "vararg"]
    arguments = _arguments(text, len(fixed) if variable else None)
    free = iter([*fixed, *([variable] if variable else [])])
    for argument in arguments:
        named = _NAMED.fullmatch(argument)
        name = named[1] if named and named[1] in values else next(free, None)
        if name is None:
            raise Refused(at, f"too many arguments for the macro `{macro.name}`")
        value = named[2] if named and named[1] in values else argument
        given.add(name)
        if value or name == variable:
            values[name] = _unquoted(value) if name != variable else value
    for parameter in macro.parameters:
        if parameter.kind == "req" and not values[parameter.name]:
            raise Refused(at, f"the macro `{macro.name}` needs a value for `{parameter.name}`")
    return values


_TOKEN: Final = re.compile(r'"(?:\\.|[^"\\])*"?|\'(?:\\.|.)\'?|\s+|.', re.DOTALL)
_OPERATORS: Final = "+-*/%&|^~!<>="


def _arguments(text: str, most: int | None = None) -> list[str]:
    """Split at commas, and at blanks that no operator is beside, outside of quotes and
    parentheses; what is beyond ``most`` arguments stays in one piece."""
    found: list[str] = [""]
    depth = 0
    tokens = [token.group() for token in _TOKEN.finditer(text.strip())]
    for number, token in enumerate(tokens):
        if most is not None and len(found) > most:
            found[-1] += token
            continue
        depth += (token in "([{") - (token in ")]}") if len(token) == 1 else 0
        blank = token.isspace()
        if depth <= 0 and token == ",":
            found.append("")
        elif not blank or depth > 0:
            found[-1] += token
        elif _separates(tokens, number) and found[-1]:
            found.append("")
    return [argument.strip() for argument in found] if text.strip() else []


def _separates(tokens: list[str], number: int) -> bool:
    before, after = tokens[number - 1], tokens[number + 1]
    joins = _OPERATORS + ",()[]{}"
    return before not in joins and after not in joins


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text.startswith('"') and text.endswith('"'):
        return text[1:-1]
    return text
