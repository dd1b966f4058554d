"""What is common to commands: the flags that every one takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Common:
    """Flags of the whole program, set while the command line is read."""

    debug: bool = False
    colour: str = "auto"


COMMON = Common()
