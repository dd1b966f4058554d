"""What ends a run: an exit, a limit of the case, or what was refused."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from vcpu_scenario.case import Limits
from vcpu_scenario.kvm.errnos import errno_name
from vcpu_scenario.machine.errors import KvmError, NotRefused, Unexpected
from vcpu_scenario.trace import Ending, Exit
from vcpu_scenario.vmm.attached import VmmEnds

ENDS: Final = (KvmError, VmmEnds, NotRefused, Unexpected)
"""Errors by which a run ends."""

_ENDING_OF: Final = dict(
    zip(ENDS, (Ending.REFUSED, Ending.VMM, Ending.NOT_REFUSED, Ending.UNEXPECTED), strict=True)
)


def ending_of(error: Exception) -> tuple[Ending, str]:
    """How a run ends by one of ``ENDS``, and what is said of it."""
    return _ENDING_OF[type(error)], told(error) if isinstance(error, KvmError) else str(error)


def told(refusal: KvmError) -> str:
    """The ioctl with its argument, and the errno."""
    return f"{refusal.what}: {errno_name(refusal.errno)}"


class Endings:
    """Looks after each exit whether the run ends there."""

    def __init__(self, limits: Limits) -> None:
        self._limits: Final = limits
        self._repeats = 0

    def at(self, result: int, exits: Sequence[Exit], *, acts: bool) -> Ending | None:
        """Why the run ends with the last of ``exits``, for which KVM_RUN gave ``result``; None
        where it continues. ``acts`` if the scenario has something done there."""
        limits = self._limits
        if result < 0 or exits[-1].exit == "SYSTEM_EVENT":
            if result == -errno.EINTR:
                if limits.stop_on_intr and not acts:
                    return Ending.INTERRUPTED
            elif limits.stop_on_event or not acts:
                return Ending.ERROR if result < 0 else Ending.SYSTEM_EVENT
        if len(exits) >= limits.exits:
            return Ending.EXIT_LIMIT
        if limits.repeats is not None:
            self._count_repeats(exits)
            if self._repeats >= limits.repeats:
                return Ending.REPEATS
        return None

    def _count_repeats(self, exits: Sequence[Exit]) -> None:
        now = exits[-1]
        before = exits[-2] if len(exits) > 1 else None
        # Registers may change.
        if before is not None and replace(now, regs=before.regs) == before:
            self._repeats += 1
        else:
            self._repeats = 0
