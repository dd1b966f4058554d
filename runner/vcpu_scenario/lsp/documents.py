"""The scenarios that are open in the editor, and what is known of each."""

from __future__ import annotations

import asyncio
import os
from functools import cached_property
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit

from msgspec import Struct, field

from vcpu_scenario.language import yaml12
from vcpu_scenario.language.files import MAX_SCENARIO
from vcpu_scenario.language.loader import SUFFIX
from vcpu_scenario.language.nodes import Map, Node, Scalar, Sequence
from vcpu_scenario.lsp.answers import Checked, Ran
from vcpu_scenario.lsp.positions import Positions

_NOTHING: Final = Checked(())


class Asked(Struct):
    """A question to a worker, and how many wait for its answer."""

    task: asyncio.Task[Any]
    by: int = 0

    def is_of_use(self) -> bool:
        """Whether it has an answer."""
        task = self.task
        return task.done() and not task.cancelled() and task.exception() is None


class Text:
    """One state of a scenario's text."""

    def __init__(self, text: str, path: str, encoding: str) -> None:
        self.text = text
        self.path = path
        self.encoding = encoding
        self.answers: dict[Any, Asked] = {}
        """What running it has answered, by question."""

    @cached_property
    def positions(self) -> Positions:
        """Its places, counted in the encoding of the client."""
        return Positions(self.text, self.encoding)

    @cached_property
    def root(self) -> Map | None:
        """Its mapping, where it is YAML of a size that is looked at."""
        if len(self.text) > MAX_SCENARIO:
            return None
        node, _ = yaml12.parse(self.text, self.path)
        return node if isinstance(node, Map) else None


class Document(Struct):
    """An open scenario: its text now, and the last that could be read as YAML.

    ``checked`` is what was found at the last check, ``of`` the text that it is of; ``runs`` has
    what came of running ``now``, by the line of a clause, None for the whole.
    """

    uri: str
    path: str
    now: Text
    version: int | None = None
    read: Text | None = None
    of: Text | None = None
    checked: Checked = _NOTHING
    symbols: tuple[str, ...] = ()
    runs: dict[int | None, Ran | None] = field(default_factory=dict)

    def change(self, text: Text, version: int | None) -> None:
        """Takes a new text; what was run was another."""
        self.now, self.version = text, version
        self.runs.clear()

    @property
    def root(self) -> Map | None:
        """The text's mapping, or while it is no YAML, that of the last text that was."""
        if self.now.root is not None:
            self.read = self.now
        return self.read.root if self.read is not None else None

    def around(self, offset: int) -> Map | None:
        """:attr:`root`; where no text was YAML yet, that of the text without the line at
        ``offset``, which is being written."""
        if self.root is not None:
            return self.root
        text = self.now.text
        start, end = text.rfind("\n", 0, offset) + 1, text.find("\n", offset)
        rest = text[:start] + (text[end:] if end >= 0 else "")
        return Text(rest, self.path, "").root


def path_of(uri: str) -> str | None:
    """The file that a URI names, if it is one on this host with a scenario's name."""
    try:
        parts = urlsplit(uri)
        path = os.fsdecode(unquote_to_bytes(parts.path))
    except ValueError:  # half a surrogate as well
        return None
    local = parts.scheme == "file" and parts.netloc in ("", "localhost")
    if not local or not path.startswith("/") or not path.endswith(SUFFIX) or "\0" in path:
        return None
    return path


class Here(Struct, frozen=True):
    """What stands at a place: the keys and numbers that lead there, and the node.

    ``is_key`` where the node is a key, the last of ``path``.
    """

    path: tuple[str | int, ...]
    node: Node
    is_key: bool = False


def at(root: Map, line: int, column: int) -> Here | None:
    """The innermost node at a place of YAML, both numbers from 1; None where none is."""
    here: Here | None = Here((), root) if _within(root, line, column) else None
    while here is not None and not here.is_key:
        inner = next((below for below in _below(here) if _within(below.node, line, column)), None)
        if inner is None:
            return here
        here = inner
    return here


def _below(here: Here) -> list[Here]:
    if isinstance(here.node, Sequence):
        return [Here((*here.path, n), item) for n, item in enumerate(here.node.items)]
    if isinstance(here.node, Scalar):
        return []
    found = []
    for key, value in here.node.entries:
        path = (*here.path, key.text)
        found += [Here(path, key, is_key=True), Here(path, value)]
    return found


def _within(node: Node, line: int, column: int) -> bool:
    span = node.span
    return (span.line, span.column) <= (line, column) <= (span.end_line, span.end_column)
