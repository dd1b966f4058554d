"""Writes a document down in the one style that scenarios have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vcpu_scenario.authoring.attach import Attached, Notes, attach
from vcpu_scenario.authoring.brackets import Brackets
from vcpu_scenario.authoring.concrete import Comment, Document, Entry, Group, Leaf, Node, Unusual
from vcpu_scenario.authoring.style import HEADER, Place, root

INDENT = 2


def written(document: Document) -> str:
    """The text of ``document`` in canonical style.

    Raises :class:`~vcpu_scenario.authoring.concrete.Unusual` for what has no canonical form.
    """
    if not isinstance(document.root, Group) or document.root.kind != "map":
        raise Unusual("something other than keys at its top")
    writer = _Writer(document, attach(document))
    lines = writer.document(document.root)
    return "\n".join(lines) + "\n"


class _Writer:
    def __init__(self, document: Document, attached: Attached) -> None:
        self._attached = attached
        self._brackets = Brackets(document.lines, attached.commented)

    def document(self, group: Group) -> list[str]:
        place = root()
        first = group.entries[0] if group.entries else None
        head = _trimmed(self._attached.of(first).lead) if first else []
        lines = [line for line in head if line or head[-1:] != [""]]
        while lines and not lines[-1]:
            lines.pop()
        blank_after_head = bool(head) and head[-1] == ""
        before: list[str] = []
        ordered = place.ordered(group)
        for number, entry in enumerate(ordered):
            notes = self._attached.of(entry)
            lead = [] if entry is first else notes.lead
            if ordered != group.entries:
                # The blank lines parted what was beside it before.
                lead = _trimmed(lead)
            body = self._entry(entry, place.of(entry), 0, notes)
            if number == 0:
                lead = _trimmed(lead)
                if lines and blank_after_head:
                    lines.append("")
            elif _set_off(before, body, entry) and lead[:1] != [""] and lines[-1]:
                lead = ["", *lead]
            lines += _once(lead) + body
            before = body
        tail = self._attached.tail
        return lines + _once(tail)

    def _block(self, group: Group, place: Place, indent: int) -> list[str]:
        """The entries of a group, one below the other."""
        lines: list[str] = []
        ordered = place.ordered(group)
        for number, entry in enumerate(ordered):
            notes = self._attached.of(entry)
            trimmed = number == 0 or ordered != group.entries
            lead = _trimmed(notes.lead) if trimmed else notes.lead
            lines += [_indented(line, indent) for line in _once(lead)]
            lines += self._entry(entry, place.of(entry), indent, notes)
        return lines

    def _entry(self, entry: Entry, place: Place, indent: int, notes: Notes) -> list[str]:
        prefix = " " * indent
        if entry.key is None:
            return self._item(entry, place, indent, notes)
        prefix += f"{entry.key.properties} " if entry.key.properties else ""
        prefix += f"{entry.key.lines[0]}:"
        value = entry.value
        if isinstance(value, Group) and self._in_block(value, place):
            prefix += f" {value.properties}" if value.properties else ""
            lines = [_with_comment(prefix, notes.trail)]
            lines += self._block(value, place, indent + INDENT)
            return lines + [_indented(line, indent + INDENT) for line in _once(notes.tail)]
        lines = self._value(f"{prefix} ", value, place, indent)
        lines[-1] = _with_comment(lines[-1], notes.trail)
        return lines

    def _item(self, entry: Entry, place: Place, indent: int, notes: Notes) -> list[str]:
        dash = f"{' ' * indent}- "
        value = entry.value
        if isinstance(value, Group) and self._in_block(value, place):
            if value.properties:
                raise Unusual("an anchor or a tag on an item of several lines")
            inner = indent + INDENT
            lines = self._block(value, place, inner)
            # A comment above the first key of an item has no place but above the item.
            above = next(i for i, line in enumerate(lines) if not _is_comment(line))
            hoisted = [_indented(line.strip(), indent) for line in lines[:above]]
            lines[above] = dash + lines[above][inner:]
            lines = hoisted + lines[above:]
            lines += [_indented(line, inner) for line in _once(notes.tail)]
        else:
            lines = self._value(dash, value, place, indent)
        if notes.trail is not None:
            lines[-1] = _with_comment(lines[-1], notes.trail)
        return lines

    def _in_block(self, group: Group, place: Place) -> bool:
        if not group.entries:
            return False
        # Comments in brackets have no place in a block: where there are some, brackets stay.
        unbracketed = place.has_block or (place.is_item_variant and len(group.entries) == 1)
        return not group.flow or (unbracketed and group.start not in self._attached.commented)

    def _value(self, prefix: str, value: Node, place: Place, indent: int) -> list[str]:
        """A value that begins on the line of its key or dash."""
        if value.properties:
            prefix += f"{value.properties} "
        if isinstance(value, Group):
            return self._brackets.lines(prefix, value, place, indent + INDENT)
        if value.style in ("|", ">"):
            return [prefix + _header(value), *_shifted(value, indent + INDENT)]
        if len(value.lines) == 1:
            return [(prefix + place.quoted(value)).rstrip()]
        first, *rest = map(_bare, value.lines)
        return [prefix + first, *(_indented(line, indent + INDENT) for line in rest)]


def _set_off(before: Sequence[str], body: Sequence[str], entry: Entry) -> bool:
    """Whether a blank line has to stand between two entries at the top."""
    name = entry.key.value if entry.key is not None else ""
    if name in HEADER:
        return False
    of_header = before[0].partition(":")[0] in HEADER
    return of_header or len(before) > 1 or len(body) > 1


def _trimmed(lines: Sequence[str]) -> list[str]:
    """``lines`` without blank ones at their beginning."""
    start = next((i for i, line in enumerate(lines) if line), len(lines))
    return list(lines[start:])


def _once(lines: Sequence[str]) -> list[str]:
    """``lines`` with no two blank ones in a row."""
    return [line for i, line in enumerate(lines) if line or i == 0 or lines[i - 1]]


def _is_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _indented(line: str, indent: int) -> str:
    return f"{' ' * indent}{line}" if line else ""


def _bare(line: str) -> str:
    """A line of a scalar without the blanks around it, which say nothing unless escaped."""
    bare = line.strip()
    return line.lstrip() if bare.endswith("\\") else bare


def _with_comment(line: str, comment: Comment | None) -> str:
    """``line`` and its comment, as far away as it was where the line is as it was."""
    if comment is None:
        return line
    same = comment.before.lstrip("- ") == line.lstrip("- ")
    gap = max(2, comment.gap) if same else 2
    return f"{line}{' ' * gap}{comment.text}"


def _header(leaf: Leaf) -> str:
    """The first line of a block scalar. At the end of a file that ends without a line break the
    scalar has none either, which only its header can say once there is one."""
    header = leaf.lines[0].rstrip()
    indicators = header.partition(" ")[0]
    if leaf.value and not leaf.value.endswith("\n") and not set(indicators) & {"-", "+"}:
        return f"{indicators}-{header.removeprefix(indicators)}"
    return header


def _shifted(leaf: Leaf, indent: int) -> Iterator[str]:
    """The lines of a block scalar below its header, moved to ``indent``."""
    header, *lines = leaf.lines
    digits = [char for char in header.partition("#")[0] if char.isdigit()]
    first = next((line for line in lines if line.strip()), "")
    old = len(first) - len(first.lstrip(" "))
    if digits:
        # The first line may begin with blanks of its own, which the value shows.
        own = leaf.value.lstrip("\n").partition("\n")[0]
        old -= len(own) - len(own.lstrip(" "))
        indent += int(digits[0]) - INDENT
    for line in lines:
        yield _indented(line[old:], indent)
