"""What the stub debugs: a session, and the way back through what was done to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from vcpu_scenario.vmm.session import Session, Steps
from vcpu_scenario.vmm.told import Told


class Target(Protocol):
    """A guest under a debugger. Register numbers are those of the description that is served."""

    @property
    def session(self) -> Session: ...

    def select(self, vcpu: int) -> None:
        """Registers and memory are that vCPU's from now on."""

    def choose(self, vcpu: int) -> None:
        """Steps that do not say of which vCPU are that one's, until another one stops."""

    def read_register(self, number: int) -> int:
        """Raises :class:`~vcpu_scenario.vmm.vmms.terms.Unknown`."""

    def synchronize(self) -> None:
        """All registers are asked for."""

    def write_register(self, number: int, value: int) -> None:
        """Raises :class:`~vcpu_scenario.vmm.vmms.terms.Refused`."""

    def read_memory(self, addr: int, length: int) -> bytes:
        """Raises :class:`~vcpu_scenario.vmm.memory.Unreachable`."""

    def write_memory(self, addr: int, data: bytes) -> None:
        """Raises :class:`~vcpu_scenario.vmm.memory.Unreachable`."""

    def insert(self, kind: int, addr: int, length: int) -> None:
        """Raises :class:`~vcpu_scenario.vmm.vmms.terms.Refused`."""

    def remove(self, kind: int, addr: int, length: int) -> None:
        """Raises :class:`~vcpu_scenario.vmm.vmms.terms.Refused`."""

    def clear_points(self) -> None:
        """Takes all breakpoints away."""

    def resume(self, step: Steps, interrupted: Callable[[], bool]) -> Told: ...

    def back(self, step: bool) -> Told | None:
        """One stop back, or to the breakpoint that was passed last; None at the start."""
