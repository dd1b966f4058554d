"""Sessions of a debugger with QEMU, recorded under real kernels, and played on a machine of ours.

``tests/recorded/vmm`` has them: ``{"guests": {name: {"at": address, "code": hex}}, "recordings":
[{"vmm", "version", "kernel", "release", "sessions": [...]}]}``, a session as ``{"guest", "session",
"does": [...], "until", "output", "left"}``. What the debugger does is a packet of the GDB protocol
(``Z1,40000008,4``; ``M40000000,4:e00020d4``), a register that it writes (``Px1=1234``), or a resume
with what came of it: ``["s", stop]`` or ``["c", stop, "watchpoint"]``. A stop is ``[pc, pstate, the
registers that are others than at the stop before]``, with a fourth member that names what differed
between two recordings; it is ``null`` where none came, and ``"W"`` where the VM was off. ``until``
says why the recording goes on and this does not, and ``left`` how many stops it has then.

QEMU ran with ``-M virt,gic-version=host -cpu host``, on a Cortex-A57, from 6.16 on on a Cortex-A72.
What both QEMUs of a kernel gave alike is kept once, for 10.0.13.
"""

from __future__ import annotations

import json
import lzma
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec.structs import replace
from vcpu_scenario.case import (
    Action,
    Case,
    Device,
    Gic,
    Limits,
    Load,
    Memslot,
    SetRegister,
    WriteMemory,
)
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetGuestDebug, Watchpoint
from vcpu_scenario.kvm import abi
from vcpu_scenario.trace import Stop, Trace

RECORDED: Final = Path(__file__).parents[1] / "recorded" / "vmm"
REGISTERS: Final = (*(f"x{n}" for n in range(31)), "sp")

_RAM: Final = Memslot(0x4000_0000, 0x0400_0000)
_FLASH: Final = Memslot(0, 0x0800_0000, readonly=True)
_PSTATE: Final = 0x4000_03C5
"""QEMU's first: EL1h, D, A, I and F set, and Z."""
_BRK: Final = (0xD420_0000).to_bytes(4, "little")
_WATCHES: Final[Mapping[str, Any]] = {"2": "w", "3": "r", "4": "rw"}
_MORE: Final = (6, 60, 600)
"""Exits that a resume may make."""
_PATIENCE: Final = (100_000, 20_000)
"""Instructions of a run that is to stop, and of one that is not."""
_DEVICES: Final = (
    Device("pl011", 0x0900_0000, 0x1000, "pl011", registers=((0x30, 0x300),)),
    Device("pl031", 0x0901_0000, 0x1000, registers=((0xFE0, 0x31),)),
    Device("fw_cfg", 0x0902_0000, 0x1000, "scripted", replies=((0, tuple(b"QEMU")),)),
    Device("virtio", 0x0A00_0000, 0x200, registers=((0, int.from_bytes(b"virt", "little")),)),
)

Run = Callable[[str, Case], Trace]
"""Runs a case as the kernel of that name does."""


class Session(NamedTuple):
    vmm: str
    version: str
    kernel: str
    guest: str
    name: str
    does: tuple[Any, ...]
    until: str
    left: int
    at: int
    code: bytes

    @property
    def resumes(self) -> int:
        return sum(isinstance(item, list) for item in self.does)


class Told(NamedTuple):
    """What the debugger was told: where, why (empty where that was not recorded), all registers."""

    pc: int
    pstate: int
    reason: str
    regs: Mapping[str, int]


class Resume(NamedTuple):
    """One resume: its number in the session, what was recorded of it and what came of it here, None
    where the vCPU did not stop; what is ``unknown`` is not compared. ``ended`` is why the run
    ended where it did so before it stopped."""

    number: int
    recorded: Told | None
    unknown: frozenset[str]
    found: Told | None
    ended: str = ""

    def differences(self, unknown: frozenset[str] = frozenset()) -> dict[str, tuple[Any, Any]]:
        """Each thing that is another one: what was recorded, and what came."""
        one, other = self.recorded, self.found
        if one is None or other is None:
            return {} if one == other else {"stop": (one, other)}
        pairs: dict[str, tuple[Any, Any]] = {
            "pc": (one.pc, other.pc),
            "pstate": (one.pstate, other.pstate),
            "reason": (one.reason, other.reason if one.reason else ""),
            **{reg: (one.regs[reg], other.regs[reg]) for reg in REGISTERS},
        }
        left_out = self.unknown | unknown
        return {
            name: values
            for name, values in pairs.items()
            if values[0] != values[1] and name not in left_out
        }


@cache
def sessions(file: str) -> tuple[Session, ...]:
    """All sessions of a file of recordings."""
    document = json.loads(lzma.decompress((RECORDED / f"{file}.json.xz").read_bytes()))
    guests = {
        name: (guest["at"], bytes.fromhex(guest["code"]))
        for name, guest in document["guests"].items()
    }
    return tuple(
        Session(
            recording["vmm"],
            recording["version"].split()[0],
            recording["kernel"],
            each["guest"],
            each["session"],
            tuple(each["does"]),
            each.get("until", ""),
            each["left"],
            *guests[each["guest"]],
        )
        for recording in document["recordings"]
        for each in recording["sessions"]
    )


class _Planned(NamedTuple):
    """A resume before it is run: what the debugger does first, and what was recorded of it."""

    actions: tuple[Action, ...]
    recorded: Any
    reason: str


def play(session: Session, run: Run) -> Iterator[Resume]:
    """The session's resumes, up to the first of which no stop comes.

    What the debugger does at a stop are the actions at the exit that made it. Which exit that will
    be is not known before the run: it is guessed from the stop before, and only the stops up to the
    first wrong guess count. That one is looked for in a run of its own.
    """
    plan = list(_Debugger(session).plan())
    registers = dict.fromkeys(REGISTERS, 0)
    search = _Search(session, run, plan)
    for number, (_, recorded, reason) in enumerate(plan):
        wanted, unknown = _recorded(recorded, reason, registers)
        stop, ended = search.stop(number)
        yield Resume(number, wanted, unknown, None if stop is None else _told(stop), ended)
        if stop is None or wanted is None:
            return


@dataclass
class _Search:
    """Runs the case for the stops of a plan, in their order. ``found`` are those known so far."""

    session: Session
    run: Run
    plan: Sequence[_Planned]
    found: list[Stop] = field(default_factory=list)
    ahead: int = 8

    def stop(self, number: int) -> tuple[Stop | None, str]:
        """The stop of that number, or why the run ended before it."""
        if number == len(self.found):
            self._guess()
        if number < len(self.found):
            return self.found[number], ""
        stop, ended = self._next()
        if stop is not None:
            self.found.append(stop)
        return stop, ended

    def _guess(self) -> None:
        """Finds the next stops in one run, as far as they come as often as the last one did."""
        at = [-1, *(stop.exit for stop in self.found)]
        gap = at[-1] - at[-2] if len(at) > 1 else 1
        known = len(self.found)
        more = next(
            (n for n, each in enumerate(self.plan[known:]) if each.recorded in (None, "W")),
            len(self.plan) - known,
        )
        guessed = [at[-1] + gap * (n + 1) for n in range(min(more, self.ahead))]
        if len(guessed) < 2:
            return
        stops, _ = self._stops([*at[1:], *guessed], guessed[-1] + 2, _PATIENCE[False])
        right = 0
        for stop, exit_ in zip(stops[known:], guessed, strict=False):
            if stop.exit != exit_:
                break
            self.found.append(stop)
            right += 1
        self.ahead = 2 * self.ahead if right == len(guessed) else max(2, right)

    def _next(self) -> tuple[Stop | None, str]:
        """The stop after those found, looked for among few exits at first: what comes after it
        nobody has asked for yet. Without it, why the run ended."""
        at = [stop.exit for stop in self.found]
        ended = ""
        for more in _MORE:
            patience = _PATIENCE[self.plan[len(at)].recorded is None]
            stops, trace = self._stops(at, (at[-1] if at else -1) + 1 + more, patience)
            if len(at) < len(stops):
                return stops[len(at)], ""
            ended = str(trace.unmodelled or trace.error or trace.ended)
            if trace.ended != "exit limit":
                break
        return None, ended

    def _stops(self, at: list[int], exits: int, patience: int) -> tuple[Sequence[Stop], Trace]:
        """Those of a run whose stops are the exits ``at``, and further ones."""
        case = _case(self.session)
        actions = [each.actions for each in self.plan]
        case = replace(
            case,
            before=actions[0],
            on=tuple(zip(at, actions[1:], strict=False)),
            limits=replace(case.limits, exits=exits, instructions=patience),
        )
        trace = self.run(self.session.kernel, case)
        return trace.stops, trace


@dataclass
class _Debugger:
    """What the session does, as actions of a VMM."""

    session: Session
    breakpoints: list[int] = field(default_factory=list)
    watchpoints: list[Watchpoint] = field(default_factory=list)
    replaced: dict[int, bytes] = field(default_factory=dict)
    uses: Counter[int] = field(default_factory=Counter)
    does: list[Action] = field(default_factory=list)

    def plan(self) -> Iterator[_Planned]:
        """Each resume with what is done before it."""
        at, code = self.session.at, self.session.code
        self.memory = {at + n: byte for n, byte in enumerate(code)}
        for item in self.session.does:
            if isinstance(item, str):
                self._acts(item)
                continue
            kind, recorded, *reason = item
            actions = (*self.does, SetGuestDebug(self._debug(kind == "s")))
            self.does.clear()
            yield _Planned(actions, recorded, "".join(reason))

    def _debug(self, step: bool) -> GuestDebug:
        """``kvm_update_guest_debug``."""
        control = abi.KVM_GUESTDBG_SINGLESTEP if step else 0
        control |= abi.KVM_GUESTDBG_USE_SW_BP if self.replaced else 0
        control |= abi.KVM_GUESTDBG_USE_HW if self.breakpoints or self.watchpoints else 0
        control |= abi.KVM_GUESTDBG_ENABLE if control else 0
        return GuestDebug(control, tuple(self.breakpoints), tuple(self.watchpoints))

    def _acts(self, packet: str) -> None:
        head, rest = packet[0], packet[1:]
        if head == "P":
            reg, value = rest.split("=")
            self.does.append(SetRegister(reg, int(value, 16)))
        elif head == "M":
            where, data = rest.split(":")
            self._write(int(where.split(",")[0], 16), bytes.fromhex(data))
        else:
            kind, addr, length = rest.split(",")
            self._point(head == "Z", kind, int(addr, 16), int(length, 16))

    def _point(self, sets: bool, kind: str, addr: int, length: int) -> None:
        if kind == "0":
            self._software(sets, addr)
        elif kind == "1":
            (self.breakpoints.append if sets else self.breakpoints.remove)(addr)
        else:
            watch = Watchpoint(addr, length, _WATCHES[kind])
            (self.watchpoints.append if sets else self.watchpoints.remove)(watch)

    def _software(self, sets: bool, addr: int) -> None:
        """``kvm_insert_breakpoint`` and ``kvm_remove_breakpoint``: one that is set again is only
        counted."""
        self.uses[addr] += 1 if sets else -1
        if sets and self.uses[addr] == 1:
            self.replaced[addr] = bytes(self.memory.get(addr + n, 0) for n in range(4))
            self._write(addr, _BRK)
        elif not self.uses[addr]:
            self._write(addr, self.replaced.pop(addr))

    def _write(self, addr: int, data: bytes) -> None:
        self.memory |= {addr + n: byte for n, byte in enumerate(data)}
        self.does.append(WriteMemory(addr, data))


def _recorded(
    stop: Any, reason: str, registers: dict[str, int]
) -> tuple[Told | None, frozenset[str]]:
    """What was told, and what of it is not known; brings ``registers`` up to date."""
    if stop is None or stop == "W":
        return None, frozenset()
    pc, pstate, changed, *varies = stop
    registers |= changed
    unknown = {name for name, value in (("pc", pc), ("pstate", pstate)) if value is None}
    unknown.update(*varies)
    return Told(pc or 0, pstate or 0, reason, dict(registers)), frozenset(unknown)


def _told(stop: Stop) -> Told:
    """The stop as the debugger sees it: ``sp`` is the stack pointer in use."""
    pstate = stop.regs["pstate"]
    sp = stop.regs["sp_el1" if pstate & 0xF == 0b0101 else "sp_el0"]
    return Told(stop.pc, pstate, stop.reason, {**stop.regs, "sp": sp})


def _case(session: Session) -> Case:
    return Case(
        slots=(_FLASH, _RAM),
        loads=(Load(session.at, session.code),),
        regs=(("pstate", _PSTATE), ("pc", session.at)),
        caps=("arm_nisv_to_user",),
        gic=Gic(3, 0x0800_0000, 0x080A_0000),
        devices=_DEVICES,
        default_reply=0,
        observe=(*REGISTERS[:-1], "sp_el0", "sp_el1", "pstate"),
        vmm=session.vmm,
        limits=Limits(seconds=1.0),
    )
