"""How values are written in a scenario: numbers in hexadecimal, mappings and lists in one line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")
_TAKEN: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_SMALL: Final = 10


class Decimal(int):
    """A number that counts something, which nobody reads in hexadecimal."""


class Verbatim(str):
    """A text that needs no quotes, such as an address by its label."""


def scalar(value: Any) -> str:
    """A number, a flag or a text."""
    if isinstance(value, Verbatim):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal) or (isinstance(value, int) and 0 <= value < _SMALL):
        return str(int(value))
    if isinstance(value, int):
        return f"{value:#x}"
    if isinstance(value, float):
        return f"{value:g}"
    return quoted_text(str(value))


def quoted_text(text: str) -> str:
    """A text, in quotes where it could be taken for something else."""
    if _PLAIN.match(text) and text.lower() not in _TAKEN:
        return text
    # YAML's double quotes know all of JSON's escapes.
    return json.dumps(text, ensure_ascii=not text.isprintable())


def flow(value: Any) -> str:
    """Mappings and lists in brackets, within each other as they come."""
    if isinstance(value, Mapping):
        entries = (f"{scalar(key)}: {flow(item)}" for key, item in value.items())
        return f"{{{', '.join(entries)}}}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(flow, value))}]"
    return scalar(value)
