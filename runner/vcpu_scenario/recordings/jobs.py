"""Recorded jobs: what was run on real kernels, as cases, with the exits they gave.

A file holds a JSON list of ``{"job": {...}, "traces": [...]}``, plain or compressed with xz. A
job reads as a :class:`vcpu_scenario.case.Case` and a :class:`vcpu_scenario.trace.Trace` for each
outcome, so whatever runs scenarios and compares runs does so with recorded jobs too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from vcpu_scenario.arm64.cpumodels import CORTEX_A57
from vcpu_scenario.case import (
    Action,
    Case,
    CoalescedZone,
    Device,
    Gic,
    ImmediateExit,
    Ioeventfd,
    Limits,
    Load,
    Memslot,
    SetMmioData,
    SetRegister,
    WriteMemory,
)
from vcpu_scenario.interchange.traces import ring_from_json
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetGuestDebug, SetIrqLine, Watchpoint
from vcpu_scenario.kvm import abi
from vcpu_scenario.recordings.format import entries
from vcpu_scenario.trace import Exit, Trace

Json = Mapping[str, Any]

DEFAULT_BASE = 0x4000_0000

CONTROL_FLAGS = {
    "enable": abi.KVM_GUESTDBG_ENABLE,
    "singlestep": abi.KVM_GUESTDBG_SINGLESTEP,
    "sw_bp": abi.KVM_GUESTDBG_USE_SW_BP,
    "hw": abi.KVM_GUESTDBG_USE_HW,
}
CAPABILITIES = {"nisv": "arm_nisv_to_user"}
WATCH_TYPES: dict[str, Any] = {"r": "r", "w": "w", "rw": "rw"}


class RecordedTrace(Struct, frozen=True):
    """One distinct outcome and the kernels that gave it: its exits, counts of ioeventfds, the
    coalesced ring, and the set-up's refusal."""

    kernels: tuple[str, ...]
    trace: Trace


class RecordedJob(Struct, frozen=True):
    """A job with every outcome recorded for it.

    ``asm`` is its source, assembled at ``base``; ``path`` the file that it was read from,
    ``cpu`` what it ran on, one of :data:`vcpu_scenario.arm64.cpumodels.CPUS`.
    """

    name: str
    case: Case
    asm: str
    traces: tuple[RecordedTrace, ...]
    path: str = ""
    cpu: str = CORTEX_A57.name

    def on(self, kernel: str) -> str:
        """The machine that gave what is recorded as ``kernel``: that release on its CPU."""
        return kernel if self.cpu == CORTEX_A57.name else f"{kernel}+{self.cpu}"

    def trace(self, kernel: str) -> Trace | None:
        """What ``kernel`` gave, or None where the job was not run on it."""
        return next((each.trace for each in self.traces if kernel in each.kernels), None)


def jobs(path: str | Path, tell: Callable[[str], None] | None = None) -> Iterator[RecordedJob]:
    """Yield the jobs recorded in ``path`` (``.json`` or ``.json.xz``) in the file's order; ``tell``
    is told of what is passed over.

    Raises OSError, or :class:`vcpu_scenario.recordings.format.BadRecording` where the file is not
    in this format.
    """
    for entry in entries(path, tell):
        job = entry["job"]
        traces = tuple(RecordedTrace(tuple(t["kernels"]), _trace(t)) for t in entry["traces"])
        yield RecordedJob(
            job["name"],
            case_of(job),
            job["asm"],
            traces,
            str(path),
            job.get("cpu", CORTEX_A57.name),
        )


def case_of(job: Json) -> Case:
    """The case that a recorded job describes."""
    job = {key: value for key, value in job.items() if value is not None}
    return Case(
        slots=tuple(_slot(ram) for ram in job["ram"]),
        loads=tuple(Load(load["addr"], bytes.fromhex(load["hex"])) for load in job["load"]),
        regs=tuple(_registers(job).items()),
        caps=tuple(CAPABILITIES[cap] for cap in job.get("caps", ())),
        gic=_gic(job["gic"]) if job.get("gic") else None,
        ioeventfds=tuple(
            Ioeventfd(fd["addr"], fd["len"], fd.get("match")) for fd in job.get("ioeventfd", ())
        ),
        coalesced=tuple(
            CoalescedZone(zone["addr"], zone["size"]) for zone in job.get("coalesced", ())
        ),
        devices=_replies(job.get("mmio", {})),
        debug=guest_debug(job["debug"]) if "debug" in job else None,
        before=_actions(job.get("before", ())),
        on=tuple((int(index), _actions(actions)) for index, actions in job.get("on", {}).items()),
        observe=tuple(job.get("show", ("x0", "x1", "x2", "x3"))),
        skip_brk="always" if job.get("brk_always_skip") else "without-actions",
        limits=Limits(
            exits=job.get("max", 40),
            seconds=job.get("timeout", 0.3),
            repeats=job.get("sticky_limit"),
            stop_on_intr=job.get("stop_on_intr", True),
            stop_on_event=job.get("stop_on_event", True),
        ),
    )


def guest_debug(debug: Json) -> GuestDebug:
    """A recorded debug request; flags and addresses are taken as they are."""
    control = 0
    for name in debug["control"]:
        control |= CONTROL_FLAGS[name]
    watch = tuple(
        Watchpoint(point["addr"], point["len"], WATCH_TYPES[point["type"]])
        for point in debug.get("watch", ())
    )
    return GuestDebug(control, tuple(debug.get("hw_bp", ())), watch)


def _registers(job: Json) -> dict[str, int]:
    registers = dict(job.get("regs", {}))
    registers.setdefault("pc", job.get("base", DEFAULT_BASE))
    return registers


def _slot(ram: Json) -> Memslot:
    return Memslot(ram["base"], ram["size"], ram.get("readonly", False))


def _gic(gic: Json) -> Gic:
    return Gic(gic["version"], gic["dist"], gic.get("redist", 0), gic.get("cpu", 0))


def _replies(mmio: Mapping[str, int]) -> tuple[Device, ...]:
    # The recorder keyed its replies by exact address, whatever the width of the access, and
    # wrote all 8 bytes of mmio.data: no register file, whose values overlap and truncate.
    if not mmio:
        return ()
    replies = tuple((int(addr, 0), value) for addr, value in mmio.items())
    return (Device("recorded", 0, 1 << 64, "replies-by-address", registers=replies),)


ACTIONS: dict[str, Callable[[Json], Action]] = {
    "debug": lambda action: SetGuestDebug(guest_debug(action)),
    "set": lambda action: SetRegister(action["reg"], action["value"]),
    "poke": lambda action: WriteMemory(action["addr"], bytes.fromhex(action["hex"])),
    "irq": lambda action: SetIrqLine(action["irq"], action["level"]),
    "immediate_exit": lambda action: ImmediateExit(),
    "mmio_data": lambda action: SetMmioData(action["value"]),
}


def _actions(actions: Any) -> tuple[Action, ...]:
    return tuple(ACTIONS[action["do"]](action) for action in actions)


def _trace(document: Json) -> Trace:
    return Trace(
        tuple(map(_exit, document["exits"])),
        tuple(document.get("eventfd") or ()),
        ring_from_json(document.get("ring")),
        document.get("error"),
    )


def _exit(document: Json) -> Exit:
    fields = {name: value for name, value in document.items() if value is not None}
    exit_, ret, pc, regs = (fields.pop(name) for name in ("exit", "ret", "pc", "regs"))
    return Exit(exit_, ret, fields.pop("errno", 0), pc, fields, regs)
