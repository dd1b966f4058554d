"""Assembly source, prepared so that every assembler gives the same words and the same line map.

Three things differ between GNU as and LLVM, and are settled here rather than in each of them:

* GNU as reports no columns. Every statement gets a line of its own, indented to the column where
  the author wrote it, so that a line number alone already says which statement is meant.
* LLVM's DWARF has no row for ``.inst`` or ``.word``, and GNU as merges the statements of a line.
  A record in a section of its own notes where each statement begins instead.
* LLVM turns ``ldr x0, =0x1234`` into a ``movz`` and lays out literal pools in another order. The
  pools are written out in the order of GNU as: words, then doublewords, each value once.

A literal in a section other than ``.text``, for a vector register or of a numeric label stays with
the assembler.

Macros are written out before (:mod:`.expansion`), and no statement goes to an assembler that is not
known to be safe there (:mod:`.statements`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from msgspec import Struct

from vcpu_scenario.assembly.expansion import Expander
from vcpu_scenario.assembly.statements import checked, silent
from vcpu_scenario.assembly.text import Refused, Statement, statements_of

RECORD_SECTION = ".vcpu.lines"
"""Holds a 64-bit address and the 32-bit index of a prepared line for each statement."""
RECORD_SIZE = 12

_RECORD_LABEL = 77777777
_LITERAL_LABEL = ".Lscenario_literal_"

_LITERAL = re.compile(
    r"(ldrsw|ldr)\s+(x\d+|xzr|w\d+|wzr|[sd]\d+)\s*,\s*(=\s*)(?=\S)", re.IGNORECASE
)
# What means something else elsewhere: a numeric label, the place itself.
_BOUND = re.compile(r"\b\d+[bf]\b|(?<![\w.$])\.(?![\w.$])")
_PAGE = re.compile(r"adrp\s+\w+\s*,\s*#?\s*([\w.$]+)\s*$", re.IGNORECASE)
_CONSTANT = re.compile(r"\s*(?:\.(?:equ|set|equiv)\s+([\w.$]+)\s*,|([\w.$]+)\s*=(?!=))\s*(.+)")

# The pools by width. Not `.balign 8,0`, which LLVM takes for code and fills with NOPs.
_POOLS = {4: (".balign 4,0", ".long"), 8: (".balign 4,0;.balignl 8,0", ".quad")}

_UNRECORDED = frozenset((".rept", ".endr", ".endif", ".else", ".elseif", ".end"))
_ELSEWHERE = frozenset((".section", ".pushsection", ".data", ".bss", ".subsection", ".struct"))


class Position(Struct, frozen=True):
    """A place in the author's source; ``line`` and ``column`` count from 1."""

    line: int
    column: int


class Prepared(Struct, frozen=True):
    """``text`` for the assembler; ``origins`` says where each of its lines comes from.

    ``shifts`` say by how many columns it was moved to the left: what stands before a statement in
    its line is not repeated for each. ``literals`` are the lines of the pools written out here,
    with the alignment of each. ``refused`` are directives that cannot be had: (position, message).
    """

    text: str
    origins: tuple[Position | None, ...]
    shifts: tuple[int, ...]
    literals: Mapping[int, int]
    refused: tuple[tuple[Position, str], ...]

    def origin(self, line: int) -> Position | None:
        """Where the prepared ``line`` (from 1) was written; None if nobody wrote it."""
        return self.origins[line - 1] if 0 < line <= len(self.origins) else None

    def place(self, line: int, column: int | None) -> Position | None:
        """:meth:`origin` with a column that the assembler gave, where that still holds."""
        origin = self.origin(line)
        if origin is None or column is None or line in self.literals:
            return origin
        return Position(origin.line, column + self.shifts[line - 1])


@lru_cache(maxsize=16)
def prepare(source: str) -> Prepared:
    """Write macros out, split into statements, record where each begins and write out the literal
    pools."""
    writer = _Writer()
    try:
        for statement in Expander().expand(statements_of(source)):
            try:
                writer.statement(statement)
            except Refused as refused:
                writer.refuse(refused)
            if writer.ended:
                break
    except Refused as refused:
        writer.refuse(refused)
    return writer.finish()


class _Literal(Struct):
    label: str
    expression: str
    origin: Position


class _Writer:
    def __init__(self) -> None:
        self.ended = False
        self._lines: list[str] = []
        self._origins: list[Position | None] = []
        self._shifts: list[int] = []
        self._refused: list[tuple[Position, str]] = []
        self._blocks = 0
        self._conditions = 0
        self._sections: list[bool] = []
        self._elsewhere = self._previous = False
        self._constants: dict[str, str] = {}
        self._pools: dict[int, dict[str, _Literal]] = {4: {}, 8: {}}
        self._pages: list[tuple[Position, str]] = []
        self._literals = 0
        self._literal_lines: dict[int, int] = {}

    def statement(self, written: Statement) -> None:
        if written.mask.startswith("#", written.body):
            # At the start of a line it would be a comment, or even a line marker.
            end = written.body
            written = written._replace(code=written.code[:end], mask=written.mask[:end])
            if not written.mask.strip():
                return
        line, start, code, mask = safe = checked(written)
        body, name = safe.body, safe.name
        first = body if name else len(mask) - len(mask.lstrip())
        origin = Position(line, start + first + 1)
        if silent(name):
            code, name = code[:body], ""
        if name and name not in _UNRECORDED and not name.startswith(".if"):
            self._record(len(self._lines) + 2)
        if name == ".end" and not self._blocks and not self._conditions:
            self.ended = True
            return
        if page := _PAGE.match(mask, body):
            self._pages.append((Position(line, start + page.start(1) + 1), page[1]))
        text = self._with_literal(line, start, code, mask, body)
        self._write(text.rstrip(), origin, start)
        if name in (".ltorg", ".pool") and self._plain() and not self._conditions:
            self._flush()
        self._follow(name, code)

    def refuse(self, refused: Refused) -> None:
        """Note what cannot be had."""
        at = refused.at
        column = at.start + len(at.code) - len(at.code.lstrip()) + 1
        self._refused.append((Position(at.line, column), str(refused)))

    def finish(self) -> Prepared:
        for origin, name in self._pages:
            # GNU as takes it for an address and wants a linker, LLVM for a distance.
            if (name[0].isdigit() and not _BOUND.search(name)) or name in self._constants:
                self._refused.append((origin, "the target of `adrp` is a constant, not a label"))
        if self._elsewhere or self._sections:
            self._write(".text", None)
        # What an assembler puts at the end of the section belongs to no statement.
        self._record(None)
        self._flush()
        text = "\n".join(self._lines) + "\n"
        return Prepared(
            text,
            tuple(self._origins),
            tuple(self._shifts),
            self._literal_lines,
            tuple(self._refused),
        )

    def _write(self, text: str, origin: Position | None, shift: int = 0) -> None:
        self._lines.append(text)
        self._origins.append(origin)
        self._shifts.append(shift)

    def _record(self, index: int | None) -> None:
        self._write(
            f'{_RECORD_LABEL}:.pushsection {RECORD_SECTION},"",%progbits;'
            f".quad {_RECORD_LABEL}b;.long {index or 0};.popsection",
            None,
        )

    def _plain(self) -> bool:
        return not self._blocks and not self._elsewhere

    def _with_literal(self, line: int, start: int, code: str, mask: str, body: int) -> str:
        found = _LITERAL.match(mask, body)
        expression = code[found.end() :].strip() if found else ""
        if found is None or self._elsewhere or _BOUND.search(expression):
            return code
        width = 4 if found[1].lower() == "ldrsw" or found[2][0].lower() in "ws" else 8
        pool = self._pools[width]
        value = self._value(expression)
        if value not in pool:
            self._literals += 1
            origin = Position(line, start + found.end() + 1)
            pool[value] = _Literal(f"{_LITERAL_LABEL}{self._literals}", value, origin)
        return code[: found.start(3)] + pool[value].label

    def _value(self, expression: str) -> str:
        text = self._constants.get(expression.strip(), expression.strip())
        try:
            return str(int(text, 0))
        except ValueError:
            return text

    def _flush(self) -> None:
        for width, pool in self._pools.items():
            align, directive = _POOLS[width]
            if pool:
                self._write(align, None)
            for literal in pool.values():
                self._record(len(self._lines) + 2)
                text = f"{literal.label}: {directive} {literal.expression}"
                self._write(text, literal.origin)
                self._literal_lines[len(self._lines)] = width
            pool.clear()

    def _follow(self, name: str, code: str) -> None:
        if name == ".rept":
            self._blocks += 1
        elif name == ".endr":
            self._blocks = max(0, self._blocks - 1)
        elif self._blocks:
            return
        elif name.startswith(".if"):
            self._conditions += 1
        elif name == ".endif":
            self._conditions = max(0, self._conditions - 1)
        elif constant := _CONSTANT.match(code):
            self._constants[constant[1] or constant[2]] = self._value(constant[3])
        else:
            self._follow_section(name, code)

    def _follow_section(self, name: str, code: str) -> None:
        before = self._elsewhere
        if name == ".pushsection":
            self._sections.append(before)
        if name in _ELSEWHERE:
            self._elsewhere = re.search(r"section\s+\.text\s*(,|$)", code) is None
        elif name == ".text":
            self._elsewhere = False
        elif name == ".popsection" and self._sections:
            self._elsewhere = self._sections.pop()
            return
        elif name == ".previous":
            self._elsewhere = self._previous
        else:
            return
        self._previous = before
