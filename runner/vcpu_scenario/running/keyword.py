"""``-k EXPR``: selects cases by words in their ids, as pytest does.

::

    expression := and_expr ("or" and_expr)*
    and_expr   := not_expr ("and" not_expr)*
    not_expr   := "not" not_expr | "(" expression ")" | WORD

A word selects the ids that contain it, in upper or lower case; a word is anything without blanks
and parentheses, or anything in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from msgspec import Struct

from vcpu_scenario.errors import UsageError

Selects: TypeAlias = Callable[[str], bool]

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<open>\()|(?P<close>\))|"(?P<double>[^"]*)"|'(?P<single>[^']*)'|"""
    r"""(?P<word>[^\s()"']+))"""
)
_DEEPEST: Final = 100


class KeywordError(UsageError):
    """The expression cannot be read; the message has a caret under the column at fault."""

    def __init__(self, text: str, column: int, message: str) -> None:
        super().__init__(f"-k: {message}\n  {text}\n  {' ' * column}^")


class _Token(Struct, frozen=True):
    kind: str
    text: str
    column: int


def compile_keyword(text: str) -> Selects:
    """A function that tells of a case's id whether ``text`` selects it.

    An empty expression selects everything. Raises :class:`KeywordError`.
    """
    parser = _Parser(text)
    if parser.token.kind == "end":
        return lambda case_id: True
    expression = parser.expression(0)
    parser.expect_end()
    return lambda case_id: expression(case_id.lower())


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            column = at + len(text[at:]) - len(text[at:].lstrip())
            raise KeywordError(text, column, "a quote that is not closed")
        kind = match.lastgroup or ""
        word = match.group(kind)
        if kind == "word" and word in ("and", "or", "not"):
            kind = word
        elif kind in ("double", "single"):
            kind = "word"
        yield _Token(kind, word, match.start(match.lastgroup or 0))
        at = match.end()
    yield _Token("end", "", len(text.rstrip()))


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.token = next(self.tokens)

    def advance(self) -> _Token:
        token = self.token
        self.token = next(self.tokens, token)
        return token

    def fail(self, expected: str) -> KeywordError:
        found = f"`{self.token.text}`" if self.token.text else "the end"
        return KeywordError(self.text, self.token.column, f"expected {expected}, found {found}")

    def expression(self, depth: int) -> Selects:
        terms = [self.conjunction(depth)]
        while self.token.kind == "or":
            self.advance()
            terms.append(self.conjunction(depth))
        return terms[0] if len(terms) == 1 else lambda name: any(term(name) for term in terms)

    def conjunction(self, depth: int) -> Selects:
        terms = [self.negation(depth)]
        while self.token.kind == "and":
            self.advance()
            terms.append(self.negation(depth))
        return terms[0] if len(terms) == 1 else lambda name: all(term(name) for term in terms)

    def negation(self, depth: int) -> Selects:
        if depth > _DEEPEST:
            raise KeywordError(self.text, self.token.column, "nested too deep")
        if self.token.kind == "not":
            self.advance()
            term = self.negation(depth + 1)
            return lambda name: not term(name)
        if self.token.kind == "open":
            self.advance()
            inner = self.expression(depth + 1)
            if self.token.kind != "close":
                raise self.fail("`)`")
            self.advance()
            return inner
        if self.token.kind == "word":
            word = self.advance().text.lower()
            return lambda name: word in name
        raise self.fail("a word, `not` or `(`")

    def expect_end(self) -> None:
        if self.token.kind != "end":
            raise self.fail("`and`, `or` or the end")
