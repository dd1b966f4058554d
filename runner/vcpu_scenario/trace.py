"""What happened, exit by exit: the only result of a run. Everything later only reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Exit(NamedTuple):
    """One return of ``KVM_RUN``.

    ``exit`` is the ``KVM_EXIT_`` name without its prefix, on an error the stale one; ``pc`` was
    read after the exit; ``fields`` are the uAPI's own (``hsr``, ``far``, ``addr``, ``len``,
    ``is_write``, ``data``, ...); ``regs`` are the observed registers that changed since the
    exit before, all of them at the first.
    """

    exit: str
    ret: int
    errno: int
    pc: int
    fields: Mapping[str, Any]
    regs: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """The exit with the field names of recorded traces, ``errno`` only where not 0."""
        head: dict[str, Any] = {"ret": self.ret}
        if self.errno:
            head["errno"] = self.errno
        return {**head, "exit": self.exit, "pc": self.pc, **self.fields, "regs": dict(self.regs)}


class Kick(NamedTuple):
    """A ``KVM_RUN`` that a VMM makes with ``immediate_exit`` set, since it was kicked, and whose
    ``EINTR`` it keeps to itself: no exit that anybody asked for.

    ``entry`` is the index of the exit that comes next; ``pc`` was read after it, and is another
    one where KVM completed an access in it.
    """

    entry: int
    pc: int


class Stop(NamedTuple):
    """What a debugger attached to the VMM is told: where the vCPU stopped, and why.

    ``reason`` is ``step``, ``brk``, ``hardware_breakpoint`` or ``watchpoint``; ``regs`` are the
    observed registers as the debugger reads them then, all of them; ``exit`` is the index of the
    exit that made the VMM stop.
    """

    pc: int
    reason: str
    regs: Mapping[str, int]
    exit: int


class Unmodelled(NamedTuple):
    """What the emulated machine came to and does not model: ``what`` names it, ``pc`` is where
    the guest was, None before its first instruction."""

    what: str
    pc: int | None

    def __str__(self) -> str:
        return f"not modelled: {self.what}"


class RingEntry(NamedTuple):
    addr: int
    len: int
    data: bytes

    def to_json(self) -> dict[str, Any]:
        return {"addr": self.addr, "data": self.data.hex(), "len": self.len}


@dataclass(frozen=True, slots=True)
class Ring:
    """The coalesced ring at the end: its indices and the entries between them."""

    first: int
    last: int
    entries: tuple[RingEntry, ...]

    def to_json(self) -> dict[str, Any]:
        entries = [entry.to_json() for entry in self.entries]
        return {"entries": entries, "first": self.first, "last": self.last}


@dataclass(frozen=True, slots=True)
class Trace:
    """A whole run. ``error`` is set where the kernel refused the set-up; then no exit follows.

    ``errno`` is that of the refusal, 0 where nothing was refused or the record does not say.
    ``eventfd`` counts signals for each ioeventfd of the case in order; ``ring`` is None without
    coalesced zones; ``final_regs`` and ``memory`` are what the case asked to read at the end;
    ``output`` is what userspace devices sent out, by name; ``kicks`` are the runs that the VMM made
    beside those that gave the exits; ``ended`` says why the run ended.
    ``unmodelled`` is what the emulated machine ended it at, in place of the exit that a kernel
    gives; then nothing of the final state is known.
    """

    exits: tuple[Exit, ...] = ()
    eventfd: tuple[int, ...] = ()
    ring: Ring | None = None
    error: str | None = None
    errno: int = 0
    final_regs: Mapping[str, int] = field(default_factory=dict)
    memory: Mapping[int, bytes] = field(default_factory=dict)
    output: Mapping[str, bytes] = field(default_factory=dict)
    ended: str = ""
    unmodelled: Unmodelled | None = None
    kicks: tuple[Kick, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The trace in the recorded traces' format; what it lacks there is left out."""
        out: dict[str, Any] = {"exits": [exit_.to_json() for exit_ in self.exits]}
        if self.eventfd:
            out["eventfd"] = list(self.eventfd)
        if self.ring is not None:
            out["ring"] = self.ring.to_json()
        if self.error is not None:
            out["error"] = self.error
        return out
