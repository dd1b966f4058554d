"""YAML text as a tree of nodes with spans, by the rules of YAML 1.2's core schema.

The scanner and parser are PyYAML's, in C where it is built so; what its loader decides by YAML
1.1 (``on`` is a boolean, ``017`` is 15, the last of two equal keys wins) is decided here as
editors decide it. The tree is built from the parser's events, one by one, so that nesting,
aliases and size are bounded before memory or the stack pay for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import yaml
from msgspec import Struct, field

from vcpu_scenario.language.nodes import Map, Node, Scalar, Sequence, Style, Value, scalar
from vcpu_scenario.language.quoting import quotes_missing
from vcpu_scenario.language.syntax import syntax_error
from vcpu_scenario.source import Diagnostic, Span, quoted, split_lines

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_DEPTH: Final = 64
_TOO_DEEP: Final = f"nested deeper than {MAX_DEPTH} levels"
MAX_NODES: Final = 100_000
"""Nodes after every alias has been replaced by what it stands for, and long texts as several."""
_NODE_OF_TEXT: Final = 128
_NOT_PRINTABLE: Final = (
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_ENDS_LINES_IN_1_1 = re.compile("[\x85\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_STYLES: Final[Mapping[str | None, Style]] = {
    None: "plain",
    "": "plain",
    "'": "quoted",
    '"': "quoted",
    "|": "literal",
    ">": "folded",
}
_STRING_TAGS: Final = ("!", "tag:yaml.org,2002:str")
_COLLECTION_TAGS: Final = (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


def parse(
    text: str, file: str, events: list[Any] | None = None
) -> tuple[Node | None, list[Diagnostic]]:
    """The only document in ``text``, and what is wrong with it; ``events`` takes up the parser's.

    The node is None where the text is not YAML or breaks a limit; it is there, without the
    second of two equal keys, where the faults leave something to check further.
    """
    text = text.removeprefix("\ufeff")
    if not text.isascii() and (found := _ENDS_LINES_IN_1_1.search(text)):
        what = "ends a line in YAML 1.1 and is a character as others in YAML 1.2"
        return None, [_misplaced(text, found.start(), file, what)]
    builder = _Builder(file, text)
    try:
        builder.build(_LOADER(text), events)
    except (yaml.reader.ReaderError, UnicodeEncodeError):
        builder.problems.append(_unprintable(text, file))
    except yaml.MarkedYAMLError as error:
        builder.problems.append(syntax_error(error, text, file, _TOO_DEEP))
    except _LimitError as stop:
        builder.problems.append(stop.diagnostic)
    else:
        return builder.root, builder.problems
    return None, builder.problems


class _LimitError(Exception):
    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__()
        self.diagnostic = diagnostic


class _Open(Struct):
    """A collection whose end has not come yet."""

    event: Any
    before: int
    children: list[Node] = field(default_factory=list)
    dynamic: bool = False


class _Builder:
    """Makes the tree of the parser's events, with a stack of its own."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.problems: list[Diagnostic] = []
        self.root: Node | None = None
        self._documents = 0
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int] | None] = {}
        self._count = 0

    def build(self, parser: Any, kept: list[Any] | None) -> None:
        """Takes every event that ``parser`` gives; ``kept`` has them all in the end."""
        try:
            handlers = _HANDLERS
            while (event := parser.get_event()) is not None:
                handle = handlers.get(type(event))
                if handle is not None:
                    handle(self, event)
                if kept is not None:
                    kept.append(event)
        finally:
            parser.dispose()
        if self._documents == 0:
            self._report("the file is empty", Span(self.file, 1, 1, 1, 1), "a scenario")

    def _report(self, message: str, span: Span, expected: str = "", help: str = "") -> None:
        self.problems.append(Diagnostic(message, span, expected=expected, help=help))

    def _span(self, event: Any) -> Span:
        return _between(self.file, event.start_mark, event.end_mark)

    def _add(self, node: Node, anchor: str | None, size: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = node, size
        if self._stack:
            within = self._stack[-1]
            within.children.append(node)
            if node.dynamic:
                within.dynamic = True
        elif self._documents == 1:
            self.root = node

    def _charge(self, nodes: int, event: Any) -> None:
        self._count += nodes
        if self._count > MAX_NODES:
            raise _LimitError(
                Diagnostic(
                    f"the file has more than {MAX_NODES:,} nodes once its aliases are expanded",
                    self._span(event),
                )
            )

    def document(self, event: Any) -> None:
        self._documents += 1
        if self._documents == 2:
            self._report(
                "a second document starts here",
                self._span(event),
                expected="one scenario in a file",
            )

    def scalar(self, event: Any) -> None:
        text, tag = event.value, event.tag
        size = 1 + len(text) // _NODE_OF_TEXT
        self._charge(size, event)
        span = _between(self.file, event.start_mark, event.end_mark)
        style = _STYLES[event.style]
        if tag is not None:
            if tag in _STRING_TAGS:
                style = "quoted" if style == "plain" else style
            else:
                self._refuse_tag(tag, span)
        if not text.isascii() and _SURROGATE.search(text):
            # Only the parser in Python lets such an escape pass.
            self._report("half of a surrogate pair is no character", span)
        self._add(scalar(text, style, span), event.anchor, size)

    def alias(self, event: Any) -> None:
        span = self._span(event)
        if event.anchor not in self._anchors:
            raise _LimitError(
                Diagnostic(
                    f"no anchor is called {quoted(event.anchor)}",
                    span,
                    help=f"a text that begins with `*` needs quotes: {self._in_quotes(span)}",
                )
            )
        target = self._anchors[event.anchor]
        if target is None:
            raise _LimitError(Diagnostic(f"{quoted(event.anchor)} is part of itself", span))
        node, size = target
        self._charge(size, event)
        self._add(node, None, size)

    def open(self, event: Any) -> None:
        if event.tag not in _COLLECTION_TAGS:
            self._refuse_tag(event.tag, self._span(event))
        if len(self._stack) == MAX_DEPTH:
            raise _LimitError(Diagnostic(_TOO_DEEP, self._span(event)))
        self._stack.append(_Open(event, self._count))
        self._charge(1, event)
        if event.anchor is not None:
            self._anchors[event.anchor] = None

    def close_sequence(self, event: Any) -> None:
        opened, span = self._close(event)
        self._finish(opened, Sequence(tuple(opened.children), span, opened.dynamic))

    def close_map(self, event: Any) -> None:
        opened, span = self._close(event)
        keys, values = opened.children[::2], opened.children[1::2]
        if not _plainly_distinct(keys):
            keys, values = self._distinct(keys, values)
        entries = cast("tuple[tuple[Scalar, Node], ...]", tuple(zip(keys, values, strict=True)))
        self._finish(opened, Map(entries, span, opened.dynamic))

    def _close(self, event: Any) -> tuple[_Open, Span]:
        opened = self._stack.pop()
        span = _between(self.file, opened.event.start_mark, event.end_mark)
        if not opened.event.flow_style and opened.children:
            # The parser ends a block where the next token stands, which may be far below.
            last = opened.children[-1].span
            span = Span(self.file, span.line, span.column, last.end_line, last.end_column)
        return opened, span

    def _finish(self, opened: _Open, node: Node) -> None:
        self._add(node, opened.event.anchor, self._count - opened.before)

    def _distinct(self, keys: list[Node], values: list[Node]) -> tuple[list[Node], list[Node]]:
        """The keys that are scalars and the first of their name, and their values."""
        seen: dict[tuple[type, Value], Scalar] = {}
        kept: tuple[list[Node], list[Node]] = [], []
        for key, value in zip(keys, values, strict=True):
            if not isinstance(key, Scalar):
                self._report("a key must be a scalar", key.span)
                continue
            # Whoever reads a mapping looks for the text.
            names = (str, key.text), (type(key.value), key.value)
            first = next((seen[name] for name in names if name in seen), None)
            if first is None:
                seen.update(dict.fromkeys(names, key))
                kept[0].append(key)
                kept[1].append(value)
            else:
                self.problems.append(
                    Diagnostic(
                        f"duplicate key {quoted(key.text)}",
                        key.span,
                        found=f"the same key at line {first.span.line}",
                        expected="each key once",
                    )
                )
        return kept

    def _refuse_tag(self, tag: str, span: Span) -> None:
        self._report(
            f"the tag {quoted(tag)} has no meaning here",
            span,
            help="leave the tag out; a quoted scalar is a string",
        )

    def _in_quotes(self, span: Span) -> str:
        return quotes_missing(split_lines(self.text)[span.line - 1], span.column) or '"*..."'


_HANDLERS: Final[Mapping[type, Callable[[_Builder, Any], None]]] = {
    yaml.DocumentStartEvent: _Builder.document,
    yaml.ScalarEvent: _Builder.scalar,
    yaml.AliasEvent: _Builder.alias,
    yaml.SequenceStartEvent: _Builder.open,
    yaml.MappingStartEvent: _Builder.open,
    yaml.SequenceEndEvent: _Builder.close_sequence,
    yaml.MappingEndEvent: _Builder.close_map,
}


def _plainly_distinct(keys: list[Node]) -> bool:
    """Whether no two keys can be taken for one; off also where that takes a closer look."""
    for key in keys:
        if type(key) is not Scalar or type(key.value) is not str:
            return False
    return len({key.text for key in keys}) == len(keys)  # type: ignore[union-attr]


def _between(file: str, start: Any, end: Any) -> Span:
    return Span(file, start.line + 1, start.column + 1, end.line + 1, end.column + 1)


def _unprintable(text: str, file: str) -> Diagnostic:
    # Compiling this takes longer than parsing most files does.
    found = re.search(_NOT_PRINTABLE, text)
    return _misplaced(text, found.start() if found else 0, file, "may not stand in YAML")


def _misplaced(text: str, offset: int, file: str, what: str) -> Diagnostic:
    before = split_lines(text[:offset])
    line, column = len(before), len(before[-1]) + 1
    return Diagnostic(
        f"the character U+{ord(text[offset]):04X} {what}",
        Span(file, line, column, line, column + 1),
        help="remove it; a double-quoted scalar can have it as an escape",
    )
