"""Which comment and which blank line belongs to what."""

from __future__ import annotations

from msgspec import Struct, field

from vcpu_scenario.authoring.concrete import Comment, Document, Entry, Group, Leaf, Node, Pos


class Notes(Struct):
    """What stands around an entry: lines above it, ``""`` for a blank one, and a comment after
    its first line; ``tail`` are lines below the last entry of its block."""

    lead: list[str] = field(default_factory=list)
    trail: Comment | None = None
    tail: list[str] = field(default_factory=list)


class Attached(Struct):
    """The notes of each entry by its start, and the groups in brackets with comments in them."""

    notes: dict[tuple[Pos, bool], Notes]
    commented: set[Pos]
    tail: list[str]

    def of(self, entry: Entry) -> Notes:
        return self.notes.get(_identity(entry)) or Notes()


def _identity(entry: Entry) -> tuple[Pos, bool]:
    # An item and the first key of the mapping that it is start at the same place.
    return entry.start, entry.key is None


def attach(document: Document) -> Attached:
    """Gives every comment of ``document`` its place."""
    found = Attached({}, set(), [])
    walk = _Walk(document, found)
    end = Pos(len(document.lines), 0)
    if isinstance(document.root, Group):
        found.tail = walk.group(document.root, end, -1)
    found.tail += walk.lines_until(end)
    return found


class _Walk:
    """Goes through the text once; ``_line`` is the last line that is taken care of."""

    def __init__(self, document: Document, found: Attached) -> None:
        self._lines = document.lines
        self._comments = list(reversed(document.comments))
        self._found = found
        self._line = -1

    def group(self, group: Group, limit: Pos, outer: int) -> list[str]:
        """Walks a group in block style; the result are the lines below its last entry.

        ``limit`` is where the next thing after it starts, ``outer`` the column of the block
        that it stands in.
        """
        for number, entry in enumerate(group.entries):
            last = number + 1 == len(group.entries)
            self._entry(entry, limit if last else group.entries[number + 1].start, group)
        column = group.entries[0].start.column if group.kind == "map" else group.start.column
        return self.lines_until(limit, max(column, outer + 1))

    def _entry(self, entry: Entry, limit: Pos, group: Group) -> None:
        notes = self._found.notes.setdefault(_identity(entry), Notes())
        notes.lead += self.lines_until(entry.start)
        if self._blank_above(entry.start.line):
            notes.lead.append("")
        value = entry.value
        if isinstance(value, Group) and not value.flow and value.entries:
            if entry.key is not None:
                self._line = entry.start.line
                notes.trail = self._on(entry.start.line, value.entries[0].start)
            notes.tail = self.group(value, limit, self._column(group, entry))
            return
        notes.lead += self.lines_until(value.start)
        self._brackets(value)
        self._line = max(self._line, value.end.line)
        notes.trail = notes.trail or self._on(value.end.line, limit)

    def _column(self, group: Group, entry: Entry) -> int:
        return entry.start.column if group.kind == "map" else group.start.column

    def _brackets(self, value: Node) -> None:
        """Takes the comments within brackets, which stay where they are."""
        if isinstance(value, Leaf):
            return
        while self._comments and self._comments[-1].at < value.end:
            self._comments.pop()
            self._found.commented.add(value.start)

    def _on(self, line: int, limit: Pos) -> Comment | None:
        """The comment at the end of ``line``, if one is there."""
        if self._comments and self._comments[-1].at.line == line and self._comments[-1].at < limit:
            return self._comments.pop()
        return None

    def lines_until(self, limit: Pos, column: int = 0) -> list[str]:
        """The comments before ``limit``, with blank lines between them, as long as they stand
        at ``column`` or farther right."""
        found: list[str] = []
        while self._comments and self._comments[-1].at < limit:
            comment = self._comments[-1]
            if comment.alone and comment.at.column < column:
                break
            self._comments.pop()
            if self._blank_above(comment.at.line):
                found.append("")
            found.append(comment.text)
            self._line = max(self._line, comment.at.line)
        return found

    def _blank_above(self, line: int) -> bool:
        return line - 1 > self._line and not self._lines[line - 1].strip()
