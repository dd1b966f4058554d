"""A text file as a user keeps it: what it says, and the form in which it says it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

BOM: Final = "\ufeff"
_BREAK = re.compile("\r\n|\r|\n")


class TextFile(Struct, frozen=True):
    """``written`` is the text as it stands in the file, BOM and line ends and all."""

    written: str

    @property
    def text(self) -> str:
        """What it says, its lines ended by ``\\n``."""
        return _BREAK.sub("\n", self.written.removeprefix(BOM))

    def rewritten(self, text: str) -> str:
        """``text``, whose lines end in ``\\n``, in the form of this file.

        Lines that the file has already keep their own ends; new ones get the most common. The
        last line ends in a break only if the file's does.
        """
        ends = self._ends()
        usual = Counter(end for _, end in ends if end).most_common(1)
        newline = usual[0][0] if usual else "\n"
        if any(end not in ("", newline) for _, end in ends):
            made = "".join(line + end for line, end in self._kept(text, newline))
        else:
            made = text.replace("\n", newline)
        if ends and not ends[-1][1]:
            made = made.removesuffix("\n").removesuffix("\r")
        return (BOM if self.written.startswith(BOM) else "") + made

    def in_one_form(self, text: str) -> str:
        """``text`` with the file's BOM and its most common line end for every line."""
        usual = Counter(end for _, end in self._ends() if end).most_common(1)
        made = text.replace("\n", usual[0][0] if usual else "\n")
        return (BOM if self.written.startswith(BOM) else "") + made

    def _ends(self) -> list[tuple[str, str]]:
        return list(_lines(self.written.removeprefix(BOM)))

    def _kept(self, text: str, newline: str) -> Iterator[tuple[str, str]]:
        from difflib import SequenceMatcher

        old, new = self._ends(), list(_lines(text))
        names = [line for line, _ in old], [line for line, _ in new]
        for tag, i, _, j, end in SequenceMatcher(None, *names, autojunk=False).get_opcodes():
            for n in range(j, end):
                line, ended = new[n]
                kept = old[i + n - j][1] if tag == "equal" else ""
                yield line, (kept or newline) if ended else ""


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Each line of ``text`` and what ends it; nothing ends a last line that is not empty."""
    at = 0
    for found in _BREAK.finditer(text):
        yield text[at : found.start()], found.group()
        at = found.end()
    if at < len(text):
        yield text[at:], ""
