"""Files that hold what the code writes, golden files and generated pages, and how they are renewed.

``./test.sh --golden`` writes all of them anew; look at the difference before committing it.
"""

from __future__ import annotations

from typing import Final

OPTION: Final = "--regenerate-golden"
_asked: Final[list[bool]] = []


def ask() -> None:
    """Has all that is compared written anew instead."""
    _asked.append(True)


def are_renewed() -> bool:
    """Whether the option was given."""
    return bool(_asked)
