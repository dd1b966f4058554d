"""Text within Markdown, for reports of which parts are Markdown."""

from __future__ import annotations

import re
from typing import Final

from vcpu_scenario.host.printable import printable

# An underscore within a word is no markup, and rules' names shall be read as they are.
_MARKUP: Final = re.compile(r"[\\`*{}\[\]<>|~]|(?<!\w)_|_(?!\w)|^#")


def escaped(text: str) -> str:
    """``text`` on one line, with whatever would be markup escaped."""
    return _MARKUP.sub(r"\\\g<0>", printable(" ".join(text.split())))


def fence(text: str) -> str:
    """A fence that nothing in ``text`` closes."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(3, longest + 1)
