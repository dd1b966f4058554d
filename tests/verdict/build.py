"""Hand-made expectations and traces of one small program, as short as tests want them."""

from __future__ import annotations

from typing import Any

from vcpu_scenario.case import Case, Device, Gic, Load, Memslot
from vcpu_scenario.expectation import Check, Expectation, ExpectedExit, ExpectedStop, RegisterCheck
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.kvm import abi
from vcpu_scenario.source import Span
from vcpu_scenario.trace import Exit, Stop, StopReason
from vcpu_scenario.verdict.guest import Guest

from tests.guests import binary

BASE = 0x4000_0000
SYMBOLS = {"start": BASE, "poll": BASE + 4, "next": BASE + 8, "done": BASE + 12}
CODE = binary("""
    start: mov x0, #0x9000000
    poll:  ldr w1, [x0, #0x18]
    next:  add x2, x2, #1
    done:  brk #7
""")
STEPPING = GuestDebug(abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_SINGLESTEP)
CASE = Case(
    slots=(Memslot(BASE, 0x1000),),
    loads=(Load(BASE, CODE),),
    devices=(Device("uart", 0x0900_0000, 0x1000),),
    gic=Gic(3, 0x0800_0000, redist=0x080A_0000),
    debug=STEPPING,
)
LINES = {BASE + 4 * n: Span("a.vcpu.yaml", 8 + n, 5, 8 + n, 30) for n in range(len(CODE) // 4)}
GUEST = Guest(CASE, SYMBOLS, LINES)

STEP = 0xCB00_0022
PENDING = 0xCA00_0022
FAKED = 0xC800_0000
BRK_7 = 0xF200_0007


def span(line: int) -> Span:
    return Span("a.vcpu.yaml", line, 9, line, 20)


def check(field: str, value: Any, line: int = 1, mask: int | None = None) -> Check:
    return Check(field, value, str(value), span(line), mask)


def expected(
    line: int, least: int = 1, most: int | None = 1, *, regs: Any = (), **fields: Any
) -> ExpectedExit:
    """An expected exit at ``line``; keywords are its checks, ``regs`` its registers."""
    checks = tuple(check(name, value, line) for name, value in fields.items())
    registers = tuple(
        RegisterCheck(reg, value, hex(value), span(line)) for reg, value in dict(regs).items()
    )
    kind = str(fields.get("exit", "any")).lower()
    return ExpectedExit(kind, checks, registers, span(line), least, most)


def step(line: int, label: str, hsr: int = STEP, **more: Any) -> ExpectedExit:
    return expected(line, exit="DEBUG", pc=SYMBOLS[label], hsr=hsr, **more)


def read(line: int, label: str, **more: Any) -> ExpectedExit:
    return expected(
        line, exit="MMIO", pc=SYMBOLS[label], addr=0x0900_0018, is_write=0, len=4, **more
    )


def stepped(label: str, hsr: int = STEP, **regs: int) -> Exit:
    return Exit("DEBUG", 0, 0, SYMBOLS[label], {"hsr": hsr, "far": 0}, regs)


def has_read(label: str, **regs: int) -> Exit:
    fields = {"addr": 0x0900_0018, "len": 4, "is_write": 0}
    return Exit("MMIO", 0, 0, SYMBOLS[label], fields, regs)


def failed(errno: int, label: str, stale: str = "MMIO") -> Exit:
    return Exit(stale, -1, errno, SYMBOLS[label], {}, {})


def clause(exits: Any = None, **more: Any) -> Expectation:
    return Expectation(span(20), None if exits is None else tuple(exits), **more)


def stop(label: str, exit_: int, reason: str = "step", **regs: int) -> Stop:
    return Stop(SYMBOLS[label], StopReason(reason), regs, exit_)


def wanted_stop(line: int, label: str, reason: str | None = None, **regs: int) -> ExpectedStop:
    checks = tuple(RegisterCheck(reg, value, hex(value), span(line)) for reg, value in regs.items())
    return ExpectedStop(SYMBOLS[label], reason, checks, label, span(line))
