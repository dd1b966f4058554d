"""What writing a file would change, as a diff that shows line ends where they differ."""

from __future__ import annotations

import difflib
import re
from typing import Final

_BREAK = re.compile("\r\n|\r|\n")
_SHOWN: Final = {"\r\n": "␍\n", "\r": "␍\n", "\n": "\n"}
_NO_BREAK: Final = "\n\\ No newline at end of file\n"


def difference(before: str, after: str, name: str, now: str = "") -> str:
    """A unified diff of two texts; ``now`` is what the second is called, by default ``name`` too.

    Carriage returns are shown only where the two texts do not have the same line ends.
    """
    shown = set(_BREAK.findall(before)) != set(_BREAK.findall(after))
    old, new = (_lines(text, shown=shown) for text in (before, after))
    found = difflib.unified_diff(old, new, name, now or name)
    return "".join(line if line.endswith("\n") else f"{line}{_NO_BREAK}" for line in found)


def _lines(text: str, *, shown: bool) -> list[str]:
    plain = _BREAK.sub(lambda end: _SHOWN[end.group()] if shown else "\n", text)
    return plain.splitlines(keepends=True)
