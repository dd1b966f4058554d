"""A target: where cases are run, and what becomes of one there."""

from __future__ import annotations

from collections.abc import Callable, Collection
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

from msgspec import Struct

from vcpu_scenario.case import Case
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.recorder import Lacked
from vcpu_scenario.vmm.watch import Watch

if TYPE_CHECKING:
    from vcpu_scenario.course import Course, Recorded
    from vcpu_scenario.survey import Answers, Survey


class Skipped(Struct, frozen=True):
    """The machine cannot do what the case asks; ``reason`` says what. ``so_far`` is what came
    until then, None where nothing did."""

    reason: str
    so_far: Trace | None = None


def skipped(reason: Unsupported) -> Skipped:
    return Skipped(str(reason), reason.so_far if isinstance(reason, Lacked) else None)


class Lost(Struct, frozen=True):
    """The case took its VM, or the kernel, along; ``console`` is the end of what that printed."""

    reason: str
    console: str


Found: TypeAlias = Trace | Skipped | Lost

Create: TypeAlias = Callable[[str], Machine]
"""Makes a machine that behaves as KVM of the release of that name."""


class BadTarget(ValueError):
    """No machine is called so; the message says which there are."""


class Target(Protocol):
    """A kind of machine; a context manager that leaves no process behind."""

    @property
    def name(self) -> str:
        """As the command line names it, ``lab:6.12``."""

    @property
    def kernel(self) -> str | None:
        """The release that it is; None where it is whatever a case is for."""

    @property
    def real(self) -> bool:
        """Whether it is KVM itself."""

    watch: Watch | None

    @property
    def itself(self) -> str:
        """What a real kernel says that it is, as ``uname -r`` does; empty for the emulated one."""

    def run(self, case: Case, kernel: str) -> Found:
        """What became of ``case``; ``kernel`` counts only where :attr:`kernel` is None."""

    def step(self, case: Case, kernel: str, vmm: str) -> Course | Skipped | Lost:
        """What a debugger is told that steps ``case`` through, as :meth:`run` otherwise."""

    def ask(self, survey: Survey) -> Answers | Skipped | Lost:
        """What a vCPU answers about its registers, on a machine with a kernel of its own."""

    @property
    def carries(self) -> Collection[str]:
        """The VMMs that it has itself, by the names of those that act on it."""

    def record(self, case: Case, vmm: str) -> Recorded | Skipped | Lost:
        """What a VMM that it :attr:`carries` tells a debugger that steps ``case`` through."""

    def has_rules(self, kernel: str) -> bool:
        """Whether what was run last behaved by the rules of ``kernel``, which can be taken away."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None: ...


class Closing:
    """What most targets have in common: nothing to stop, no VMM, no rules to take away."""

    watch: Watch | None = None
    """Somebody who watches what is run here. A lab's guest is not seen before its end."""
    name = ""
    kernel: str | None = None
    real = True
    carries: Collection[str] = ()

    @property
    def itself(self) -> str:
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def has_rules(self, kernel: str) -> bool:
        return False

    def record(self, case: Case, vmm: str) -> Recorded | Skipped | Lost:
        return Skipped(f"{self.name} carries no VMM; lab:RELEASE does")

    def close(self) -> None:
        """Stop everything that runs for it."""
