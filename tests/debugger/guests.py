"""Guests for tests of the debugger, and a stub before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace
from vcpu_scenario.case import Case, Device, Load, Memslot
from vcpu_scenario.debugger.dialect import OURS, STRICT
from vcpu_scenario.debugger.handlers import HANDLERS
from vcpu_scenario.debugger.history import History
from vcpu_scenario.debugger.stub import Stub
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.vmm.session import Session

from tests.guests import binary

AT: Final = 0x4000_0000
CELL: Final = AT + 0x100
CODE: Final = binary("""
    mov x0, #0x09000000
    adr x7, .+252
    ldr w1, [x0]
    add x2, x2, #1
    str x2, [x7]
    ldr x3, [x7]
    again: add x4, x4, #1
    b again
""")
LOAD, NEXT, STORE = AT + 8, AT + 12, AT + 16
AGAIN: Final = AT + 24
CASE: Final = Case(
    slots=(Memslot(AT, 0x10000),),
    loads=(Load(AT, CODE),),
    regs=(("pc", AT),),
    devices=(Device("dev", 0x0900_0000, 0x1000, registers=((0, 0x90),)),),
    observe=("x1", "x2"),
)

_PAIR_CODE: Final = binary("""
    mov x0, #3
    movk x0, #0xc400, lsl #16
    mov x1, #1
    adr x2, second
    mov x3, #7
    hvc #0
    after: add x4, x4, #1
    spin: b spin
    second: add x5, x5, #1
    adr x6, .+0xdc
    ldr x7, [x6]
    str x5, [x6]
    done: b done
""")
PAIR: Final = replace(CASE, loads=(Load(AT, _PAIR_CODE),), vcpus=2)
"""The first switches the second on, and both come to an end."""


def making(vmm: str = "qemu", kernel: str = "6.12", case: Case = CASE) -> Callable[[], Session]:
    return lambda: Session(create(kernel), case, vmm)


def stub(vmm: str = "qemu", kernel: str = "6.12", *, strict: bool = False) -> Stub:
    """A stub that a client has come to."""
    made = Stub(History(making(vmm, kernel)), STRICT[vmm] if strict else OURS, HANDLERS)
    made.connected()
    return made
