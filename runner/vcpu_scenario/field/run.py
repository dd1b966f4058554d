"""What is gathered of one KVM_RUN, line by line, until the trace shows that it returned."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from vcpu_scenario.field.records import Debugging, Fact, Line, Seen
from vcpu_scenario.kvm.errnos import ERRNOS

EINTR: Final = ERRNOS["EINTR"]
_MOST_EXITS: Final = 1_000_000

MMIO: Final = ("is_write", "len", "addr", "data")


class Run(Struct):
    """One vCPU's thread, between two returns of KVM_RUN."""

    vcpu: int
    facts: dict[str, Fact] = field(default_factory=dict)
    inside: Counter[str] = field(default_factory=Counter)
    debugging: Debugging | None = None
    trapped: bool = False
    """The guest's last exception to KVM was a trap, and no interrupt of the host."""
    hypercall: int | None = None
    """x0 of the last hypercall since the last exception."""
    regsets: dict[str, str] = field(default_factory=dict)
    """What kvm_arm_set_regset is of, by the word in its place."""
    answered: int | None = None
    """The value that completed the read before."""

    def note(self, name: str, value: int, line: Line) -> None:
        """That ``line`` shows the value of a field."""
        self.facts[name] = Fact(value, line.span)

    def forget(self, *names: str) -> None:
        for name in names:
            self.facts.pop(name, None)

    def did(self, what: str) -> None:
        """That KVM did something by itself."""
        self.inside[what] += 1


class Runs:
    """All threads of a trace, and the exits that they gave, in the order of the trace."""

    def __init__(self) -> None:
        self._of: dict[str, Run] = {}
        self._last: dict[str, int] = {}
        self.exits: list[Seen] = []

    def of(self, thread: str) -> Run:
        """The run that ``thread`` is in."""
        run = self._of.get(thread)
        if run is None:
            run = self._of[thread] = Run(-1)
        return run

    def ended(self, thread: str, line: Line, exit_: str, errno: int, **more: Any) -> None:
        """That the KVM_RUN of ``thread`` returned, as ``line`` says."""
        if len(self.exits) >= _MOST_EXITS:
            raise line.bad(f"there are more than {_MOST_EXITS:,} exits", help="import a part of it")
        run = self.of(thread)
        vcpu = run.vcpu if run.vcpu >= 0 else len(self._last)
        if run.answered is not None and (before := self._last.get(thread)) is not None:
            self.exits[before] = replace(self.exits[before], reply=run.answered)
        self._last[thread] = len(self.exits)
        seen = Seen(exit_, errno, line.span, vcpu, run.facts, None, tuple(run.inside.items()))
        self.exits.append(replace(seen, debugging=run.debugging, **more))
        self._of[thread] = Run(vcpu)

    @property
    def vcpus(self) -> int:
        """How many threads had a KVM_RUN that returned."""
        return len(self._last)
