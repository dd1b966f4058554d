"""What happened, exit by exit: the only result of a run. Everything later only reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

from msgspec import Struct, field
from msgspec.structs import astuple, replace

from vcpu_scenario.case import Action
from vcpu_scenario.ioctls.vcpu import GuestDebug


class Exit(Struct, frozen=True):
    """One return of ``KVM_RUN``.

    ``exit`` is the ``KVM_EXIT_`` name without its prefix, on an error the stale one; ``ret`` is 0,
    or -1 where ``KVM_RUN`` failed with ``errno``; ``pc`` was read after the exit; ``fields`` are
    those of ``struct kvm_run`` for that exit, by the names of the uAPI (``hsr``, ``far``, ``addr``,
    ``len`` in bytes, ``is_write``, ``data``, ...), integers but for ``data``: hex digits of all 8
    bytes of ``mmio.data``, or the list of ``system_event.data``; where there are several vCPUs,
    ``vcpu`` is the number of the one. ``regs`` are the observed registers that changed since the
    exit of that vCPU before, all of them at its first.
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

    def of_vcpu(self) -> tuple[Exit, int]:
        """The exit without saying which vCPU's it is, and that vCPU's number, 0 of one alone."""
        fields = dict(self.fields)
        vcpu: int = fields.pop("vcpu", 0)
        return replace(self, fields=fields), vcpu


class Answer(Struct, frozen=True):
    """A userspace device answers a read: ``value`` is what the VMM puts into ``mmio.data``."""

    value: int


class GuestException(Struct, frozen=True):
    """The VMM gives the exit to the guest, which is to take it as an exception."""


Deed: TypeAlias = Action | Answer | GuestException
"""What a VMM does between two runs."""


class Inside(Struct, frozen=True):
    """What the emulated machine knows of a ``KVM_RUN`` beyond what a VMM can read.

    ``completed``: KVM completed an MMIO access first, that at the address ``access``, or again
    one that was complete where that is None. ``jumped`` is the address of an instruction over
    which it moved pc in that although nobody executes it. ``entered`` is the pc at which the guest
    was entered first, None where it was not. ``left`` is the address of the instruction that the
    guest was at when it exited last; after HVC, the address behind it. ``ran`` are the addresses
    of the instructions that were executed then, by the guest or by KVM in its place, in order;
    None where the guest was not stepped and so nobody counted.
    """

    completed: bool = False
    access: int | None = None
    jumped: int | None = None
    entered: int | None = None
    left: int | None = None
    ran: tuple[int, ...] | None = None


class Entry(Struct, frozen=True):
    """One call of ``KVM_RUN``, from the VMM's side.

    ``exit`` is the index of the exit that it gave, or None for one that the VMM makes with
    ``immediate_exit`` set since it was kicked, and whose ``EINTR`` it keeps to itself; ``did`` is
    what the VMM did since the call before, in order; ``pc`` was read before the call; ``debug`` is
    the guest debug in force, and ``breakpoints`` are the addresses (IPAs) of the software
    breakpoints that the VMM has written; ``kicked`` says that ``immediate_exit`` was the VMM's own.
    ``inside`` is None on a real machine. ``told`` is why the VMM told its debugger of the exit,
    None where it did not.
    """

    exit: int | None
    did: tuple[Deed, ...]
    pc: int
    debug: GuestDebug = GuestDebug()
    breakpoints: frozenset[int] = frozenset()
    kicked: bool = False
    inside: Inside | None = None
    told: StopReason | None = None


def observed(exits: Iterable[Exit]) -> list[Mapping[str, int]]:
    """The observed registers of its vCPU after each exit, of which traces hold only the changes."""
    out: list[Mapping[str, int]] = []
    known: dict[int, Mapping[str, int]] = {}
    for exit_ in exits:
        vcpu = exit_.fields.get("vcpu", 0)
        now = known.get(vcpu, {})
        if exit_.regs:
            now = known[vcpu] = {**now, **exit_.regs}
        out.append(now)
    return out


class StopReason(StrEnum):
    """Why the VMM reports to a debugger that the vCPU stopped."""

    STEP = "step"
    BRK = "brk"
    HARDWARE_BREAKPOINT = "hardware_breakpoint"
    WATCHPOINT = "watchpoint"


class Ending(StrEnum):
    """Why a run ended."""

    UNKNOWN = ""
    """A recorded trace does not say."""
    REFUSED = "refused"
    """The kernel refused the set-up, or what the VMM did between two runs."""
    NOT_REFUSED = "not refused"
    """The kernel did what it was expected to refuse, or refused it with another errno."""
    UNEXPECTED = "unexpected answer"
    """The kernel answered what the VMM asked between two runs in another way than expected."""
    ERROR = "error"
    """``KVM_RUN`` failed."""
    INTERRUPTED = "interrupted"
    """The guest gave no exit within its limits."""
    SYSTEM_EVENT = "system event"
    EXIT_LIMIT = "exit limit"
    REPEATS = "repeats"
    LAST_EXPECTED = "last exit expected"
    """It was shortened after the last exit that was expected."""
    NOT_MODELLED = "not modelled"
    """The emulated machine went no further."""
    VMM = "VMM"
    """The VMM does not do what the scenario wants of it, or ended: ``refused`` says why."""

    @property
    def is_cut(self) -> bool:
        """Whether a limit of the runner ended the run, and not the guest or the kernel."""
        return self in (Ending.EXIT_LIMIT, Ending.REPEATS, Ending.INTERRUPTED)

    @property
    def is_between_runs(self) -> bool:
        """Whether it ended at what the VMM did, after the last exit or before the first."""
        return self in (Ending.REFUSED, Ending.NOT_REFUSED, Ending.UNEXPECTED, Ending.VMM)


class Stop(NamedTuple):
    """What the VMM reports to an attached debugger: where the vCPU stopped, and why.

    ``regs`` are all observed registers at the exit that made the VMM stop, before the VMM puts
    anything back; ``exit`` is its index.
    """

    pc: int
    reason: StopReason
    regs: Mapping[str, int]
    exit: int


class Unmodelled(NamedTuple):
    """What a machine came to and goes no further at: ``what`` names it, ``pc`` is where the guest
    was, None before its first instruction. The emulated machine does not model it, or the machine,
    which may be a real one, ``lacks`` what the case asks for."""

    what: str
    pc: int | None
    lacks: bool = False

    def __str__(self) -> str:
        return self.what if self.lacks else f"not modelled: {self.what}"


class RingEntry(NamedTuple):
    addr: int
    len: int
    data: bytes

    def to_json(self) -> dict[str, Any]:
        return {"addr": self.addr, "data": self.data.hex(), "len": self.len}


class Ring(Struct, frozen=True):
    """The coalesced ring at the end: its indices and the entries between them."""

    first: int
    last: int
    entries: tuple[RingEntry, ...]

    def to_json(self) -> dict[str, Any]:
        entries = [entry.to_json() for entry in self.entries]
        return {"entries": entries, "first": self.first, "last": self.last}


class Trace(Struct, frozen=True, eq=False):
    """A whole run. ``error`` is set where the kernel refused the set-up; then no exit follows.

    ``errno`` is that of the refusal, 0 where nothing was refused or the record does not say.
    ``eventfd`` counts signals for each ioeventfd of the case in order; ``ring`` is None without
    coalesced zones; ``final_regs`` and ``memory`` are what the case asked to read at the end, and
    ``reg_list`` the ids that KVM_GET_REG_LIST gives then, None where it did not ask;
    ``output`` is what userspace devices sent out, by name; ``ended`` says why the run ended,
    and ``refused`` what was refused of what the VMM did between two runs.
    ``unmodelled`` is what the emulated machine ended it at, in place of the exit that a kernel
    gives; then nothing of the final state is known. ``entries`` are the calls of ``KVM_RUN``, of
    which a recorded trace has none; two traces are equal whatever these are.
    """

    exits: tuple[Exit, ...] = ()
    eventfd: tuple[int, ...] = ()
    ring: Ring | None = None
    error: str | None = None
    errno: int = 0
    final_regs: Mapping[str, int] = field(default_factory=dict)
    memory: Mapping[int, bytes] = field(default_factory=dict)
    output: Mapping[str, bytes] = field(default_factory=dict)
    ended: Ending = Ending.UNKNOWN
    refused: str = ""
    unmodelled: Unmodelled | None = None
    entries: tuple[Entry, ...] = ()
    reg_list: tuple[int, ...] | None = None
    asked: int = 0
    """Which of the actions after the last exit, or before the first KVM_RUN, ended the run, counted
    from 1; 0 where none did."""
    after: tuple[Deed, ...] = ()
    """What the VMM did after the last ``KVM_RUN``."""
    left: int = 0
    """How many of the actions before the first KVM_RUN the VMM never came to, as the kernel refused
    one before them or the set-up itself."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trace) and self._compared() == other._compared()

    def __ne__(self, other: object) -> bool:
        return not self == other  # that of Struct does not ask __eq__

    def _compared(self) -> tuple[Any, ...]:
        return astuple(replace(self, entries=(), asked=0, after=(), left=0))

    @classmethod
    def never_begun(cls, what: str) -> Trace:
        """That of a machine which does not model ``what``, before the first KVM_RUN."""
        return cls(ended=Ending.NOT_MODELLED, unmodelled=Unmodelled(what, None))

    @property
    def runs(self) -> Iterator[tuple[Entry, Exit]]:
        """Each exit with the call of ``KVM_RUN`` that gave it."""
        gave = (entry for entry in self.entries if entry.exit is not None)
        return zip(gave, self.exits, strict=False)

    @property
    def stops(self) -> tuple[Stop, ...]:
        """What the debugger was told, in order."""
        stops = []
        registered = zip(self.runs, observed(self.exits), strict=False)
        for index, ((entry, exit_), registers) in enumerate(registered):
            if entry.told is not None:
                stops.append(Stop(exit_.pc, entry.told, registers, index))
        return tuple(stops)

    @property
    def kicks(self) -> tuple[tuple[int, int], ...]:
        """The calls that gave no exit: the index of the exit that comes next, and the pc that was
        read after the call, which is another one where KVM completed an access in it."""
        return tuple(
            (following.exit, following.pc)
            for entry, following in pairwise(self.entries)
            if entry.exit is None and following.exit is not None
        )

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
