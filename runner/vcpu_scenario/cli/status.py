"""Exit statuses: those of pytest, and one for what the emulated machine does not model."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """What the process tells its caller."""

    OK = 0
    MISMATCH = 1
    INTERRUPTED = 2
    INTERNAL_ERROR = 3
    USAGE = 4
    NOTHING_SELECTED = 5
    NOT_MODELLED = 6


class CannotWrite(Exception):
    """The report cannot be written to where it should go."""


class InvalidTold(Exception):
    """A scenario is invalid, and all that is wrong was told. Status 4."""


class NoMachine(Exception):
    """A real kernel does not come up, or its lab fails: nothing can be run on it. Status 3."""
