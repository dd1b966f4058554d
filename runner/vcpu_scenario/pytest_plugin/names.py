"""Names as pytest can keep, print and send them: those of files need not be UTF-8."""

from __future__ import annotations

import re
from typing import Final

_BYTES: Final = re.compile("[\udc80-\udcff]")
"""What Python makes of bytes in a name that are not UTF-8."""

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")


def told(text: str) -> str:
    """``text`` with the bytes in it that are not UTF-8 as ``\\xff``."""
    escaped = _BYTES.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", text)
    return escaped.encode("utf-8", "backslashreplace").decode()


def shown(name: str) -> str:
    """``name`` on one line, with control characters escaped as well."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", told(name))
