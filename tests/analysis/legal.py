"""Whether a trace is one that a kernel could have given: every exit legal for its cause."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct, field
from vcpu_scenario import case as c
from vcpu_scenario.case import Case
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetGuestDebug, Watchpoint
from vcpu_scenario.kernels.table import kernel
from vcpu_scenario.kvm import abi
from vcpu_scenario.trace import Exit, Trace

_STEP: Final = 0x32
_BREAKPOINT: Final = 0x30
_WATCHPOINT: Final = 0x34
_BRK: Final = 0x3C
_STEPS: Final = (0xCB000022, 0xCB000062, 0xCA000022)
_FAKED: Final = (0xC8000000, 0xC8000022)
_WATCHES: Final = (0xD2000022, 0xD2000062)
_GIC_SIZES: Final = {2: ((0, 0x1000),), 3: ((0, 0x10000),)}


class _Vmm(Struct):
    """What the VMM has asked for so far."""

    case: Case
    debug: GuestDebug | None
    slots: list[c.Memslot] = field(default_factory=list)
    immediate_exit: bool = False

    def act(self, actions: Iterable[c.Action]) -> None:
        for action in actions:
            if isinstance(action, SetGuestDebug):
                self.debug = action.debug
            elif isinstance(action, c.AddMemslot):
                self.slots.append(action.slot)
            elif isinstance(action, c.ImmediateExit):
                self.immediate_exit = True

    def asks(self, flag: int) -> bool:
        control = 0 if self.debug is None else self.debug.control
        return bool(control & abi.KVM_GUESTDBG_ENABLE and control & flag)


def faults(case: Case, name: str, trace: Trace) -> list[str]:
    """What no kernel would do, in words; empty for a legal trace of ``case`` on ``name``."""
    if trace.error is not None:
        return [] if not trace.exits and trace.errno else ["a refusal with exits or no errno"]
    rules = kernel(name).rules
    vmm = _Vmm(case, case.debug, list(case.slots))
    vmm.act(case.before)
    on = dict(case.on)
    found: list[str] = []
    for number, exit_ in enumerate(trace.exits):
        found += [f"exit {number}: {fault}" for fault in _exit(exit_, vmm, rules)]
        vmm.immediate_exit = False
        vmm.act(on.get(number, ()))
    return found + list(_whole(case, trace))


def _whole(case: Case, trace: Trace) -> Iterator[str]:
    exits, limits = trace.exits, case.limits
    if not (trace.unmodelled is None) <= len(exits) <= limits.exits:
        yield f"{len(exits)} exits with a limit of {limits.exits}"
    if not trace.ended:
        yield "it does not say why it ended"
    if exits and set(exits[0].regs) - set(case.observe):
        yield "registers that nobody observes"
    for exit_ in exits[:-1]:
        if exit_.errno not in (0, errno.EINTR):
            yield f"it went on after errno {exit_.errno}"
        if exit_.exit == "SYSTEM_EVENT" and not exit_.errno:
            yield "it went on after a system event"
    if trace.unmodelled is not None:
        return  # the state at the end is not known
    if case.ioeventfds and len(trace.eventfd) != len(case.ioeventfds):
        yield "not one count for each ioeventfd"
    if bool(case.coalesced) != (trace.ring is not None):
        yield "a ring without zones, or zones without a ring"
    for entry in trace.ring.entries if trace.ring is not None else ():
        zones = case.coalesced
        if not any(
            z.addr <= entry.addr and entry.addr + entry.len <= z.addr + z.size for z in zones
        ):
            yield f"a ring entry at {entry.addr:#x}, outside of all zones"


def _exit(exit_: Exit, vmm: _Vmm, rules: frozenset[str]) -> Iterator[str]:
    if exit_.ret < 0:
        yield from _failed(exit_, vmm)
        return
    if exit_.errno:
        yield f"errno {exit_.errno} of a run that did not fail"
    check = _CHECKS.get(exit_.exit)
    if check is None:
        yield f"no run ends with {exit_.exit}"
    else:
        yield from check(exit_.fields, exit_.pc, vmm, rules)


def _failed(exit_: Exit, vmm: _Vmm) -> Iterator[str]:
    if exit_.errno == errno.EINTR:
        if exit_.exit != "INTR" and not vmm.immediate_exit:
            yield f"EINTR with a stale {exit_.exit}, and no immediate_exit was asked for"
    elif exit_.errno == errno.ENOSYS:
        if exit_.exit != "UNKNOWN" or "arm_nisv_to_user" in vmm.case.caps:
            yield "ENOSYS where the access could be reported"
    else:
        yield f"errno {exit_.errno}"


Fields = Mapping[str, Any]


def _debug(fields: Fields, pc: int, vmm: _Vmm, rules: frozenset[str]) -> Iterator[str]:
    hsr = fields["hsr"]
    if not vmm.asks(abi.KVM_GUESTDBG_ENABLE):
        yield "a debug exit, and guest debug is off"
    if ("flags" in fields) != ("debug_hsr_high" in rules):
        yield "flags of a kernel of another time"
    yield from _SYNDROMES.get(hsr >> 26, _no_syndrome)(hsr, pc, fields["far"], vmm, rules)


def _no_syndrome(hsr: int, pc: int, far: int, vmm: _Vmm, rules: frozenset[str]) -> Iterator[str]:
    yield f"a debug exit with hsr {hsr:#x}"


def _step(hsr: int, pc: int, far: int, vmm: _Vmm, rules: frozenset[str]) -> Iterator[str]:
    if not vmm.asks(abi.KVM_GUESTDBG_SINGLESTEP):
        yield "a step that nobody asked for"
    if hsr not in _STEPS and not ("step_exit_faked" in rules and hsr in _FAKED):
        yield f"a step with hsr {hsr:#x}"


def _breakpoint(hsr: int, pc: int, far: int, vmm: _Vmm, rules: frozenset[str]) -> Iterator[str]:
    points = vmm.debug.hw_bp if vmm.debug is not None else ()
    # A breakpoint has an address of 49 bits, and bit 48 is its sign.
    matches = any((point & ~3 ^ pc) & (1 << 49) - 1 == 0 for point in points)
    if not vmm.asks(abi.KVM_GUESTDBG_USE_HW) or not matches or hsr != 0xC2000022:
        yield f"a breakpoint at {pc:#x} with hsr {hsr:#x}"


def _watchpoint(hsr: int, pc: int, far: int, vmm: _Vmm, rules: frozenset[str]) -> Iterator[str]:
    points = vmm.debug.watch if vmm.debug is not None else ()
    if not vmm.asks(abi.KVM_GUESTDBG_USE_HW) or hsr not in _WATCHES:
        yield f"a watchpoint with hsr {hsr:#x}"
    kinds = ("w", "rw") if hsr == 0xD2000062 else ("r", "rw")
    watched = [point for point in points if point.type in kinds]
    if not all(map(_is_whole, points)):
        return
    if "watchpoint_far" in rules and not any(p.addr <= far < p.addr + p.len for p in watched):
        yield f"a watchpoint for {far:#x}, which is not watched"


def _is_whole(point: Watchpoint) -> bool:
    """Whether its registers can watch just these bytes."""
    if point.len <= 8:
        return point.addr % 8 + point.len <= 8
    return point.len & point.len - 1 == 0 and point.addr % point.len == 0


def _brk(hsr: int, pc: int, far: int, vmm: _Vmm, rules: frozenset[str]) -> Iterator[str]:
    if hsr >> 16 != 0xF200:
        yield f"a BRK with hsr {hsr:#x}"


_SYNDROMES: Final[Mapping[int, Callable[..., Iterator[str]]]] = {
    _STEP: _step,
    _BREAKPOINT: _breakpoint,
    _WATCHPOINT: _watchpoint,
    _BRK: _brk,
}


def _mmio(fields: Fields, pc: int, vmm: _Vmm, rules: frozenset[str]) -> Iterator[str]:
    addr, length, is_write = fields["addr"], fields["len"], fields["is_write"]
    if length not in (1, 2, 4, 8) or is_write not in (0, 1):
        yield f"an access of {length} bytes, is_write {is_write}"
    slot = next((s for s in vmm.slots if s.base <= addr < s.base + s.size), None)
    if slot is not None and not (slot.readonly and is_write):
        yield f"an access to memory at {addr:#x}"
    gic = vmm.case.gic
    for offset, size in _GIC_SIZES[gic.version] if gic is not None else ():
        base = gic.dist + offset if gic is not None else 0
        alone = slot is None and not _others_on_the_bus(vmm.case, base, size)
        if alone and base <= addr and addr + length <= base + size:
            yield f"an access to the distributor at {addr:#x}"
    if is_write:
        data = int.from_bytes(bytes.fromhex(fields["data"])[:length], "little")
        for fd in vmm.case.ioeventfds:
            fits = fd.addr == addr and fd.len in (0, length)
            alone = slot is None and not _others_on_the_bus(vmm.case, fd.addr, length, fd)
            if fits and fd.match in (None, data) and alone:
                yield f"a write that an ioeventfd takes, at {addr:#x}"


def _others_on_the_bus(case: Case, base: int, size: int, own: c.Ioeventfd | None = None) -> bool:
    """Whether anything but the distributor, or ``own``, lies there: where devices overlap, KVM's
    search of its bus may miss the one that would take an access."""
    spans = [(zone.addr, zone.size) for zone in case.coalesced]
    spans += [(fd.addr, fd.len) for fd in case.ioeventfds if fd is not own]
    if case.gic is not None:
        spans.append((case.gic.redist, 0x20000))
        spans += [(case.gic.dist, 0x10000)] if own is not None else []
    return any(start < base + size and base <= start + length for start, length in spans)


def _system_event(fields: Fields, pc: int, vmm: _Vmm, rules: frozenset[str]) -> Iterator[str]:
    if fields["type"] not in (1, 2, 5):
        yield f"a system event of type {fields['type']}"
    if (fields["ndata"] > 0) > ("system_event_data" in rules):
        yield "data of a system event before there was any"


def _nisv(fields: Fields, pc: int, vmm: _Vmm, rules: frozenset[str]) -> Iterator[str]:
    if "arm_nisv_to_user" not in vmm.case.caps:
        yield "ARM_NISV without the capability"


_CHECKS: Final[Mapping[str, Callable[[Fields, int, _Vmm, frozenset[str]], Iterator[str]]]] = {
    "DEBUG": _debug,
    "MMIO": _mmio,
    "SYSTEM_EVENT": _system_event,
    "ARM_NISV": _nisv,
}
