"""The items of a clause's lists: exits, stops and entries, with the comments beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.authoring.concrete import Comment
from vcpu_scenario.language.nodes import Map, Node, Scalar, Sequence
from vcpu_scenario.language.notation import quoted_text

_CAUSES: Final = (
    *("step", "brk", "hardware_breakpoint", "watchpoint"),
    *("read", "write", "type", "errno", "nr", "repeat"),
)
"""What an exit is, apart from the values of its fields. Others are another exit."""

PROSE: Final = "note"

_BRACKETS: Final = frozenset("[]{},")


class Item(Struct, frozen=True):
    """``fields`` are its parts as they are written, those of ``regs`` by themselves; ``identity``
    is what it has in common with the same exit on other kernels."""

    kind: str
    identity: tuple[str, ...]
    fields: Mapping[str, str]
    above: tuple[str, ...] = ()
    """Comments on the lines before it."""
    beside: tuple[str, ...] = ()
    """Comments on its own lines."""

    def same(self, other: Item) -> bool:
        return self.kind == other.kind and self.fields == other.fields


def written(node: Node) -> str:
    """A node on one line, its numbers as they were."""
    if isinstance(node, Scalar):
        if node.style == "plain":
            # Outside of brackets a text may have what ends one within.
            return json.dumps(node.text) if _BRACKETS & set(node.text) else node.text or "null"
        return quoted_text(node.text)
    if isinstance(node, Sequence):
        return f"[{', '.join(map(written, node.items))}]"
    return f"{{{', '.join(f'{_key(key)}: {written(value)}' for key, value in node.entries)}}}"


def _key(key: Scalar) -> str:
    return key.text if key.style == "plain" else quoted_text(key.text)


def exit_item(node: Node) -> Item | None:
    """An exit; None for what is none."""
    if not isinstance(node, Map) or len(node.entries) != 1:
        return None
    key, body = node.entries[0]
    if not isinstance(body, Map):
        return None
    fields = dict(_fields(body))
    causes = tuple(f"{name}: {fields[name]}" for name in _CAUSES if name in fields)
    return Item(key.text, (key.text, *causes), fields)


def stop_item(node: Node) -> Item | None:
    """A stop, written with brackets or without."""
    if isinstance(node, Sequence):
        return None
    fields = dict(_fields(node)) if isinstance(node, Map) else {"at": written(node)}
    return Item("", (fields.get("at", ""), fields.get("reason", "")), fields)


def entry_item(node: Node) -> Item | None:
    """An entry of the coalesced ring: any difference makes it another."""
    fields = dict(_fields(node)) if isinstance(node, Map) else {}
    return Item("", (written(node),), fields) if fields else None


def _fields(body: Map) -> Iterator[tuple[str, str]]:
    for key, value in body.entries:
        if key.text == "regs" and isinstance(value, Map):
            yield from ((f"regs.{reg.text}", written(of)) for reg, of in value.entries)
        else:
            yield key.text, written(value)


def put_together(kind: str, fields: Mapping[str, str]) -> str:
    """An item on one line, of fields as they are written."""
    regs = {name[5:]: text for name, text in fields.items() if name.startswith("regs.")}
    parts = [f"{name}: {text}" for name, text in fields.items() if not name.startswith("regs.")]
    if regs:
        parts.append(f"regs: {{{', '.join(f'{reg}: {text}' for reg, text in regs.items())}}}")
    if not kind and list(fields) == ["at"]:
        return fields["at"]
    body = f"{{{', '.join(parts)}}}"
    return f"{kind}: {body}" if kind else body


def with_comments(item: Item, node: Node, comments: list[Comment], lines: list[str]) -> Item:
    """``item`` with what stands above it and beside it, which is taken out of ``comments``."""
    first, last = node.span.line - 1, node.span.end_line - 1
    above: list[str] = []
    line = first - 1
    while line >= 0 and lines[line].lstrip().startswith("#"):
        above.insert(0, lines[line].strip())
        line -= 1
    beside = [one.text for one in comments if first <= one.at.line <= last and not one.alone]
    within = [one.text for one in comments if first < one.at.line <= last and one.alone]
    return replace(item, above=(*above, *within), beside=tuple(beside))
