"""Cases as recorded jobs: :func:`vcpu_scenario.recordings.jobs.case_of` reversed, as far as it
goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import vcpu_scenario.case as c
from vcpu_scenario.case import Case
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetGuestDebug, SetIrqLine
from vcpu_scenario.recordings.jobs import CAPABILITIES, CONTROL_FLAGS
from vcpu_scenario.trace import Trace


class Unrecordable(ValueError):
    """Recorded jobs have no words for what the case does."""


def entry(name: str, case: Case, traces: Mapping[str, Trace]) -> dict[str, Any]:
    """``{"job": ..., "traces": [...]}`` with what each kernel gave. Raises :class:`Unrecordable`.

    Devices become replies by exact address, which is less than a model says: run
    :func:`vcpu_scenario.recordings.jobs.case_of` of the job and compare before relying on it.
    """
    distinct: list[dict[str, Any]] = []
    for kernel, trace in traces.items():
        found = trace.to_json()
        same = next(
            (one for one in distinct if {**one, "kernels": 0} == {**found, "kernels": 0}), None
        )
        if same is not None:
            same["kernels"].append(kernel)
        else:
            distinct.append({"kernels": [kernel], **found})
    return {"job": job(name, case), "traces": distinct}


def job(name: str, case: Case) -> dict[str, Any]:
    """The job alone."""
    out: dict[str, Any] = {
        "name": name,
        "asm": "",
        "ram": [_slot(slot) for slot in case.slots],
        "load": [{"addr": load.addr, "hex": load.data.hex()} for load in case.loads],
        "regs": dict(case.regs),
        "show": list(case.observe),
        "max": case.limits.exits,
        "timeout": case.limits.seconds,
        "stop_on_intr": case.limits.stop_on_intr,
    }
    if not case.limits.stop_on_event:
        out["stop_on_event"] = False
    if case.skip_brk == "never":
        raise Unrecordable("after_brk: stay")
    if case.skip_brk == "always":
        out["brk_always_skip"] = True
    if case.limits.act_at_last:
        raise Unrecordable("an action after the last exit")
    if case.reads_irq_level:
        raise Unrecordable("device_irq_level")
    if case.limits.repeats is not None:
        out["sticky_limit"] = case.limits.repeats
    if case.caps:
        known = {cap: name for name, cap in CAPABILITIES.items()}
        if not set(case.caps) <= set(known):
            raise Unrecordable(f"the capabilities {', '.join(case.caps)}")
        out["caps"] = [known[cap] for cap in case.caps]
    if case.gic is not None:
        gic = case.gic
        out["gic"] = {"version": gic.version, "dist": gic.dist}
        out["gic"] |= {"redist": gic.redist} if gic.version == 3 else {"cpu": gic.cpu}
    if case.ioeventfds:
        out["ioeventfd"] = [_ioeventfd(one) for one in case.ioeventfds]
    if case.coalesced:
        out["coalesced"] = [{"addr": one.addr, "size": one.size} for one in case.coalesced]
    if case.devices:
        out["mmio"] = _replies(case.devices)
    if case.debug is not None:
        out["debug"] = _debug(case.debug)
    if case.before:
        out["before"] = [_action(action) for action in case.before]
    if case.reactions:
        raise Unrecordable("an action at the exits that fit a pattern")
    if case.on:
        out["on"] = {str(index): [_action(one) for one in actions] for index, actions in case.on}
    return out


def _slot(slot: c.Memslot) -> dict[str, Any]:
    return {"base": slot.base, "size": slot.size, **({"readonly": True} if slot.readonly else {})}


def _ioeventfd(one: c.Ioeventfd) -> dict[str, Any]:
    match = {} if one.match is None else {"match": one.match}
    return {"addr": one.addr, "len": one.len, **match}


def _replies(devices: tuple[c.Device, ...]) -> dict[str, int]:
    return {
        f"{device.base + offset:#x}": value
        for device in devices
        for offset, value in device.registers
    }


def _debug(debug: GuestDebug) -> dict[str, Any]:
    control = [name for name, flag in CONTROL_FLAGS.items() if debug.control & flag]
    if sum(CONTROL_FLAGS[name] for name in control) != debug.control:
        raise Unrecordable(f"a debug request with control {debug.control:#x}")
    out: dict[str, Any] = {"control": control}
    if debug.hw_bp:
        out["hw_bp"] = list(debug.hw_bp)
    if debug.watch:
        out["watch"] = [{"addr": w.addr, "len": w.len, "type": w.type} for w in debug.watch]
    return out


_ACTIONS: Final[Mapping[type, Callable[[Any], dict[str, Any]]]] = {
    SetGuestDebug: lambda action: {"do": "debug", **_debug(action.debug)},
    c.SetRegister: lambda action: {"do": "set", "reg": action.reg, "value": action.value},
    c.WriteMemory: lambda action: {"do": "poke", "addr": action.addr, "hex": action.data.hex()},
    SetIrqLine: lambda action: {"do": "irq", "irq": action.irq, "level": action.level},
    c.ImmediateExit: lambda action: {"do": "immediate_exit"},
    c.SetMmioData: lambda action: {"do": "mmio_data", "value": action.value},
}


def _action(action: c.Action) -> dict[str, Any]:
    write = _ACTIONS.get(type(action))
    if write is None:
        raise Unrecordable(f"the action {type(action).__name__}")
    return write(action)
