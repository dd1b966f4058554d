"""Cases with odd arguments of the ioctls: one each, the rest of it as ever.

The guest reads and writes a device and its memory, makes a hypercall, meets BRKs, and is off in the
end; an exception to EL1 is a BRK too. Requests come before the first run, after the first exit,
or twice.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from typing import Final

from msgspec.structs import replace
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.case import (
    Action,
    AddMemslot,
    Case,
    CoalescedZone,
    Gic,
    ImmediateExit,
    Ioeventfd,
    Limits,
    Load,
    Memslot,
    SetMmioData,
    SetRegister,
    SetRunField,
)
from vcpu_scenario.ioctls.vcpu import (
    GuestDebug,
    SetGuestDebug,
    SetIrqLine,
    SetMpState,
    SetVcpuEvents,
    Watchpoint,
)

BASE: Final = 0x4000_0000
DATA: Final = BASE + 0x2000
DEVICE: Final = 0x900_0000
_VECTORS: Final = BASE + 0x1000
_SIZE: Final = 0x1_0000
_LOAD_AT: Final = BASE + 4
"""The guest's load from the device."""
_OFF: Final = 0x8400_0008
_GICS: Final = {
    0: None,
    2: Gic(2, 0x800_0000, cpu=0x801_0000),
    3: Gic(3, 0x800_0000, 0x80A_0000),
}
_ENABLE: Final = 1
_STEP: Final = 2
_SW: Final = 1 << 16
_HW: Final = 1 << 17


def _code() -> bytes:
    words = [
        *w.mov(0, 0x8400_0000),
        w.access(w.WORD, w.LOAD, 2, 20, 0),
        w.access(w.WORD, w.STORE, 1, 20, 1),
        w.access(w.DOUBLE, w.LOAD, 3, 21, 0),
        w.access(w.DOUBLE, w.STORE, 2, 21, 1),
        w.hvc(),
        w.brk(1),
        w.access(w.HALF, w.LOAD, 4, 20, 2),
        w.brk(2),
        *w.mov(0, _OFF),
        w.hvc(),
        w.b(0),
    ]
    assert BASE + 4 * words.index(w.access(w.WORD, w.LOAD, 2, 20, 0)) == _LOAD_AT
    return struct.pack(f"<{len(words)}I", *words)


def _vectors() -> bytes:
    """Each keeps ESR_EL1 and FAR_EL1, stops, and goes on as its slot is the end of it."""
    words = [w.mrs(5, sysregs.ESR_EL1), w.mrs(6, sysregs.FAR_EL1), w.brk(0xE), *w.mov(0, _OFF)]
    slot = struct.pack(f"<{len(words) + 2}I", *words, w.hvc(), w.b(0))
    return b"".join(slot.ljust(0x80, b"\0") for _ in range(16))


def _case(*, before: tuple[Action, ...] = (), on: tuple[Action, ...] = (), at: int = 0) -> Case:
    return Case(
        slots=(Memslot(BASE, _SIZE),),
        loads=(
            Load(BASE, _code()),
            Load(_VECTORS, _vectors()),
            Load(DATA, bytes(range(64))),
        ),
        regs=(
            ("pc", BASE),
            ("x1", 0x1111),
            ("x20", DEVICE),
            ("x21", DATA),
            ("vbar_el1", _VECTORS),
        ),
        debug=GuestDebug(_ENABLE | _SW),
        before=before,
        on=((at, on),) if on else (),
        observe=("x0", "x2", "x3", "x4", "x5", "x6", "pstate"),
        skip_brk="always",
        limits=Limits(exits=16, repeats=3, instructions=20_000),
    )


def _asked(title: str, *actions: Action) -> Iterator[tuple[str, Case]]:
    """``actions`` before the first run, after the exit of the load, and after that of a BRK."""
    yield f"{title}, before", _case(before=actions)
    yield f"{title}, at the load", _case(on=actions)
    yield f"{title}, at the BRK", _case(on=actions, at=2)


def _debug() -> Iterator[tuple[str, Case]]:
    for control in (0, *(1 << bit for bit in range(1, 32))):
        for enable in (0, _ENABLE):
            asked = SetGuestDebug(GuestDebug(control | enable))
            yield from _asked(f"guest debug {control | enable:#x}", asked)
    for step, soft, hard in product((0, _STEP), (0, _SW), (0, _HW)):
        control = _ENABLE | step | soft | hard
        asked = SetGuestDebug(GuestDebug(control, (_LOAD_AT + 8,)))
        yield from _asked(f"guest debug {control:#x} with a breakpoint", asked)
    yield from _breakpoints()
    yield from _watchpoints()


def _breakpoints() -> Iterator[tuple[str, Case]]:
    places = {
        "odd": (_LOAD_AT + 1,),
        "in the middle": (_LOAD_AT + 2,),
        "high": (1 << 63 | _LOAD_AT,),
        "beyond 48 bits": (1 << 50 | _LOAD_AT,),
        "tagged": (0xFF << 56 | _LOAD_AT,),
        "twice": (_LOAD_AT, _LOAD_AT),
        "at the start": (BASE,),
        "at a vector": (_VECTORS + 0x200,),
    }
    for count in (1, 5, 6, 7, 8, 16):
        places[f"{count}th"] = (0x1000,) * (count - 1) + (_LOAD_AT,)
    for title, points in places.items():
        asked = SetGuestDebug(GuestDebug(_ENABLE | _SW | _HW, points))
        yield from _asked(f"breakpoint {title}", asked)


def _watchpoints() -> Iterator[tuple[str, Case]]:
    def asked(*watches: Watchpoint) -> SetGuestDebug:
        return SetGuestDebug(GuestDebug(_ENABLE | _SW | _HW, (), watches))

    for offset, length in product(range(8), range(1, 9)):
        if offset + length <= 8:
            watch = Watchpoint(DATA + offset, length, "rw")
            yield f"watchpoint of {length} at {offset}", _case(before=(asked(watch),))
    for power in range(4, 32):
        at = DATA & -(1 << power)
        for kind in ("r", "w"):
            watch = Watchpoint(at, 1 << power, kind)
            yield f"watchpoint of 1 << {power}, {kind}", _case(before=(asked(watch),))
    for count in (2, 4, 5, 16):
        far = Watchpoint(0x1000, 8, "rw")
        watches = (*(far,) * (count - 1), Watchpoint(DATA, 8, "rw"))
        yield from _asked(f"watchpoint {count}th", asked(*watches))
    for at in (1 << 63 | DATA, 1 << 50 | DATA, 0xFF << 56 | DATA, DEVICE):
        yield from _asked(f"watchpoint at {at:#x}", asked(Watchpoint(at, 8, "rw")))


def _events() -> Iterator[tuple[str, Case]]:
    syndromes = (None, 0, 1, 0x123, 0xFF_FFFF, 1 << 24, 1 << 25, 1 << 63)
    for dabt, serror, esr in product((False, True), (False, True), syndromes):
        title = f"events{' ext_dabt' * dabt}{' serror' * serror} {esr}"
        yield from _asked(title, SetVcpuEvents(dabt, serror, esr))
    both = (SetVcpuEvents(ext_dabt=True), SetVcpuEvents(serror=True))
    yield from _asked("two events", *both)
    yield from _asked("an event taken back", SetVcpuEvents(serror=True), SetVcpuEvents())
    yield from _asked("the same twice", *both[:1] * 2)


def _states() -> Iterator[tuple[str, Case]]:
    for state in (0, 1, 3, 5, 9, 10, 11, 1 << 31):
        yield from _asked(f"MP state {state}", SetMpState(state))
        yield from _asked(f"MP state {state} and back", SetMpState(state), SetMpState(0))


def _lines() -> Iterator[tuple[str, Case]]:
    numbers = (0, 1, 2, 15, 16, 27, 31, 32, 33, 127, 128, 287, 288, 1019, 1020, 0xFFFF)
    for (version, gic), kind in product(_GICS.items(), range(5)):
        for number, level in product(numbers if kind < 3 else (0, 32), (0, 1)):
            line = SetIrqLine(kind << 24 | number, level)
            title = f"line {kind}:{number} level {level}, GIC {version}"
            yield title, replace(_case(before=(line,)), gic=gic)
        for irq in (kind << 24 | 1 << 16 | 32, kind << 24 | 1 << 28 | 32):
            title = f"line {irq:#x}, GIC {version}"
            yield title, replace(_case(before=(SetIrqLine(irq, 1),)), gic=gic)


def _registers() -> Iterator[tuple[str, Case]]:
    for mode, rest in product(range(32), (0, 0x3C0)):
        yield from _asked(f"pstate {mode | rest:#x}", SetRegister("pstate", mode | rest))
    for bit in (*range(10, 32), 32, 63):
        yield from _asked(f"pstate bit {bit}", SetRegister("pstate", 0x3C5 | 1 << bit))
    for pc in (BASE + 1, BASE + 2, BASE + 3, 0, 1 << 63, (1 << 64) - 4, 1 << 48 | BASE):
        yield from _asked(f"pc {pc:#x}", SetRegister("pc", pc))
    for name in ("x20", "x21", "sp_el0", "sp_el1", "elr_el1", "spsr_el1", "vbar_el1", "fpsr"):
        for value in (0, 1, 0xFFFF_FFFF, 1 << 32, (1 << 64) - 1):
            yield from _asked(f"{name} {value:#x}", SetRegister(name, value))


def _ioeventfds() -> Iterator[tuple[str, Case]]:
    matches = (None, 0, 0x1111, 0xFF, (1 << 64) - 1)
    for length, match, at in product((0, 1, 2, 3, 4, 5, 8, 16), matches, (4, 5, 2, 0)):
        eventfd = Ioeventfd(DEVICE + at, length, match)
        title = f"ioeventfd of {length} at {at}, match {match}"
        yield title, replace(_case(), ioeventfds=(eventfd,))
    for at in (BASE, BASE + _SIZE - 2, (1 << 64) - 4, (1 << 64) - 8):
        yield f"ioeventfd at {at:#x}", replace(_case(), ioeventfds=(Ioeventfd(at, 8, None),))
    for one, other in product((1, 4, 8), (0, 1, 4, 8)):
        pair = Ioeventfd(DEVICE + 4, one, None), Ioeventfd(DEVICE + 4, other, None)
        yield f"ioeventfds of {one} and {other}", replace(_case(), ioeventfds=pair)


def _zones() -> Iterator[tuple[str, Case]]:
    for at, size in product((4, 3, 2, 0), (0, 1, 2, 3, 4, 5, 8, 0x1000, (1 << 32) - 1)):
        zone = CoalescedZone(DEVICE + at, size)
        yield f"zone of {size} at {at}", replace(_case(), coalesced=(zone,))
    for at, size in ((BASE, 8), ((1 << 64) - 4, 4), ((1 << 64) - 4, 8), (1 << 40, 8)):
        yield f"zone of {size} at {at:#x}", replace(_case(), coalesced=(CoalescedZone(at, size),))
    for count in (2, 16, 100):
        zones = tuple(CoalescedZone(DEVICE + 4 * n, 4) for n in range(count))
        yield f"{count} zones", replace(_case(), coalesced=zones)
    twice = (CoalescedZone(DEVICE + 4, 4),) * 2
    yield "a zone twice", replace(_case(), coalesced=twice)
    mixed = replace(_case(), coalesced=twice[:1], ioeventfds=(Ioeventfd(DEVICE + 4, 4, None),))
    yield "a zone and an ioeventfd", mixed


def _slots() -> Iterator[tuple[str, Case]]:
    page, device = 0x1000, DEVICE & ~0xFFF
    sizes = (0, 1, page - 1, page, page + 1, 1 << 24)
    bases = (device, device + 1, device + page // 2, BASE, BASE + _SIZE, BASE - page, 1 << 39)
    ends = ((1 << 40) - page, 1 << 40, 1 << 52, (1 << 64) - page)
    for base, size, readonly in product((*bases, *ends), sizes, (False, True)):
        asked = AddMemslot(Memslot(base, size, readonly))
        title = f"slot of {size:#x} at {base:#x}{' read-only' * readonly}"
        yield f"{title}, before", _case(before=(asked,))
        if base in (device, BASE + _SIZE):
            yield f"{title}, at the load", _case(on=(asked,))


def _run_fields() -> Iterator[tuple[str, Case]]:
    values = {
        "exit_reason": (0, 1, 4, 6, 17, 24, 255, (1 << 32) - 1),
        "mmio.is_write": (0, 1, 2, 0x80, 0xFF),
        "mmio.len": (0, 1, 2, 3, 4, 8, 9, 16, 0x7FFF_FFFF, (1 << 32) - 1),
    }
    for field, several in values.items():
        for value in several:
            asked = SetRunField(field, value)  # type: ignore[arg-type]
            yield from _asked(f"{field} = {value:#x}", asked)
            yield (
                f"{field} = {value:#x}, stepped",
                replace(_case(on=(asked,)), debug=GuestDebug(_ENABLE | _SW | _STEP)),
            )
    for value in (0, 0xFFFF_FFFF, 1 << 31, (1 << 64) - 1):
        yield from _asked(f"mmio.data = {value:#x}", SetMmioData(value))
    yield from _asked("immediate_exit", ImmediateExit())
    yield from _asked("immediate_exit twice", ImmediateExit(), ImmediateExit())


@cache
def cases() -> Mapping[str, Case]:
    """By title."""
    parts = (
        *(_debug(), _events(), _states(), _lines(), _registers()),
        *(_ioeventfds(), _zones(), _slots(), _run_fields()),
    )
    found: dict[str, Case] = {}
    for part in parts:
        for title, case in part:
            assert title not in found, title
            found[title] = case
    return found
