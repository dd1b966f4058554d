"""What a debugger is told by the VMM that it is attached to."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

from vcpu_scenario.course import Why as Why

SIGINT: Final = 2
SIGTRAP: Final = 5
SIGABRT: Final = 6
"""Signals by which the GDB protocol says why (``include/gdb/signals.def``)."""


class Watch(NamedTuple):
    """A watchpoint as the debugger set it; ``length`` in bytes."""

    addr: int
    length: int
    kind: Literal["r", "w", "rw"]


class Stopped(NamedTuple):
    """The vCPU stopped. ``watch`` is the watchpoint that was hit, where the VMM tells it;
    ``words`` is what there is to say beside."""

    why: Why
    signal: int = SIGTRAP
    watch: Watch | None = None
    words: str = ""


class Over(NamedTuple):
    """There is no guest any more; ``status`` is that of the VMM's process. ``unmodelled`` names
    what the emulated machine came to and does not model."""

    status: int = 0
    words: str = ""
    unmodelled: str = ""


Told: TypeAlias = Stopped | Over
