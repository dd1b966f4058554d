"""What a worker answers."""

from __future__ import annotations

from typing import NamedTuple

from vcpu_scenario.source import Diagnostic


class Checked(NamedTuple):
    """All that is wrong with a text; where nothing is, the names of the guest's addresses."""

    faults: tuple[Diagnostic, ...]
    symbols: tuple[str, ...] = ()


class Ran(NamedTuple):
    """What came of a run, in words, and what did not go as expected at its places."""

    outcome: str
    good: bool
    differences: tuple[Diagnostic, ...] = ()
