"""The judge of legal exits knows an illegal one when it sees it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from vcpu_scenario.case import (
    AddMemslot,
    Case,
    CoalescedZone,
    Gic,
    ImmediateExit,
    Ioeventfd,
    Limits,
    Load,
    Memslot,
)
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetGuestDebug, Watchpoint
from vcpu_scenario.trace import Ending, Exit, Ring, RingEntry, Trace

from tests.analysis.legal import faults

BASE, UART = 0x4000_0000, 0x0900_0000
DEBUG = GuestDebug(0x20003, (BASE + 8,), (Watchpoint(BASE + 64, 8, "w"),))
CASE = Case(
    slots=(Memslot(BASE, 1 << 20), Memslot(0x2000_0000, 4096, readonly=True)),
    loads=(Load(BASE, b"\0" * 4),),
    gic=Gic(3, 0x0800_0000, redist=0x080A_0000),
    ioeventfds=(Ioeventfd(UART, 4, 1),),
    coalesced=(CoalescedZone(UART + 16, 8),),
    debug=DEBUG,
    limits=Limits(exits=3),
)


def exit_(kind: str, errno: int = 0, pc: int = BASE, **fields: Any) -> Exit:
    return Exit(kind, -1 if errno else 0, errno, pc, fields, {})


def debug(hsr: int, pc: int = BASE, far: int = 0, **fields: Any) -> Exit:
    return exit_("DEBUG", pc=pc, hsr=hsr, far=far, **{"flags": 1, **fields})


def mmio(addr: int, data: str = "", length: int = 4) -> Exit:
    more: dict[str, Any] = {"data": data} if data else {}
    return exit_("MMIO", addr=addr, len=length, is_write=int(bool(data)), **more)


def trace(*exits: Exit, **more: Any) -> Trace:
    return Trace(exits, (0,), Ring(0, 0, ()), ended=Ending.EXIT_LIMIT, **more)


LEGAL = {
    "step": debug(0xCB000022),
    "brk": debug(0xF2000007),
    "breakpoint": debug(0xC2000022, pc=BASE + 8),
    "watchpoint": debug(0xD2000062, far=BASE + 68),
    "read": mmio(UART),
    "write": mmio(UART, "0200000000000000"),
    "rom": mmio(0x2000_0000, "0100000000000000"),
    "interrupted": exit_("INTR", errno=4),
    "no syndrome": exit_("UNKNOWN", errno=38),
    "off": exit_("SYSTEM_EVENT", type=1, ndata=1, data=[0]),
}
ILLEGAL = {
    "a step made up": debug(0xC8000000),
    "another class": debug(0x56000000),
    "another breakpoint": debug(0xC2000022, pc=BASE + 4),
    "another watchpoint": debug(0xD2000062, far=BASE + 72),
    "a watchpoint for reads": debug(0xD2000022, far=BASE + 64),
    "a BRK with other bits": debug(0xF3000007),
    "no flags": exit_("DEBUG", hsr=0xCB000022, far=0),
    "memory": mmio(BASE + 4),
    "a read of ROM": mmio(0x2000_0000),
    "the distributor": mmio(0x0800_0004),
    "the doorbell": mmio(UART, "0100000000000000"),
    "three bytes": mmio(UART, length=3),
    "a stale exit": exit_("MMIO", errno=4, addr=0, len=4, is_write=0),
    "another errno": exit_("UNKNOWN", errno=14),
    "nothing": exit_("UNKNOWN"),
    "no capability": exit_("ARM_NISV", iss=5, ipa=UART),
    "a strange event": exit_("SYSTEM_EVENT", type=9, ndata=1, data=[0]),
}


@pytest.mark.parametrize("name", LEGAL)
def test_a_legal_exit_is_legal(name: str) -> None:
    assert faults(CASE, "6.12", trace(LEGAL[name])) == []


@pytest.mark.parametrize("name", ILLEGAL)
def test_an_illegal_exit_is_told(name: str) -> None:
    assert len(faults(CASE, "6.12", trace(ILLEGAL[name]))) == 1


@pytest.mark.parametrize("name", ["step", "brk", "breakpoint", "watchpoint"])
def test_a_debug_exit_has_to_be_asked_for(name: str) -> None:
    assert faults(replace(CASE, debug=None), "6.12", trace(LEGAL[name]))
    later = replace(CASE, debug=None, on=((0, (SetGuestDebug(DEBUG),)),))
    assert faults(later, "6.12", trace(LEGAL["read"], LEGAL[name])) == []
    off = replace(CASE, on=((0, (SetGuestDebug(GuestDebug(0)),)),))
    assert faults(off, "6.12", trace(LEGAL["read"], LEGAL[name]))


def test_an_immediate_exit_leaves_the_exit_before() -> None:
    stale = exit_("MMIO", errno=4, addr=0, len=4, is_write=0)
    asked = replace(CASE, on=((0, (ImmediateExit(),)),))
    assert faults(asked, "6.12", trace(LEGAL["read"], stale)) == []
    assert faults(asked, "6.12", trace(LEGAL["read"], stale, stale))


def test_memory_that_is_added_is_memory() -> None:
    added = replace(CASE, on=((0, (AddMemslot(Memslot(UART, 4096)),)),))
    assert faults(added, "6.12", trace(LEGAL["read"])) == []
    assert faults(added, "6.12", trace(LEGAL["read"], LEGAL["read"]))


def test_what_a_kernel_writes_depends_on_its_time() -> None:
    old = exit_("DEBUG", hsr=0xCB000022, far=0)
    assert faults(CASE, "5.10", trace(old)) == []
    assert faults(CASE, "5.10", trace(LEGAL["step"]))
    assert faults(CASE, "4.19", trace(exit_("DEBUG", hsr=0xC8000000, far=0))) == []
    assert faults(CASE, "5.10", trace(LEGAL["off"]))


def test_a_run_as_a_whole_is_looked_at() -> None:
    read = LEGAL["read"]
    assert faults(CASE, "6.12", trace())
    assert faults(CASE, "6.12", trace(read, read, read, read))
    assert faults(CASE, "6.12", trace(LEGAL["off"], read))
    assert faults(CASE, "6.12", trace(LEGAL["no syndrome"], read))
    assert faults(CASE, "6.12", replace(trace(read), eventfd=()))
    assert faults(CASE, "6.12", replace(trace(read), ring=None))
    assert faults(CASE, "6.12", replace(trace(read), ended=Ending.UNKNOWN))
    far = Ring(0, 1, (RingEntry(UART + 20, 8, b"\0" * 8),))
    assert faults(CASE, "6.12", replace(trace(read), ring=far))
    assert faults(CASE, "6.12", Trace(error="no", errno=22)) == []
    assert faults(CASE, "6.12", Trace(error="no"))
