"""Packets that QEMU alone has (``gdbstub/gdbstub.c``, its ``qemu.`` queries)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vcpu_scenario.debugger.handlers.fields import number
from vcpu_scenario.debugger.stub import Bad, Handler, NotOffered, Stub
from vcpu_scenario.vmm.vmms.qemu import Qemu

_ENABLE: Final = 1
"""``SSTEP_ENABLE``; KVM of arm64 can neither hold interrupts nor timers back during a step."""


def _qemu(stub: Stub) -> Qemu:
    vmm = stub.target.session.vmm
    stub.offers("qqemu")
    if not isinstance(vmm, Qemu):
        raise NotOffered
    return vmm


def step_bits(stub: Stub, rest: bytes) -> bytes:
    _qemu(stub)
    return b"ENABLE=%x" % _ENABLE


def step_flags(stub: Stub, rest: bytes) -> bytes:
    return b"0x%x" % (_ENABLE if _qemu(stub).steps else 0)


def set_step_flags(stub: Stub, rest: bytes) -> bytes:
    vmm, flags = _qemu(stub), number(rest)
    if flags & ~_ENABLE:
        raise Bad
    vmm.steps = bool(flags)
    return b"OK"


def physical(stub: Stub, rest: bytes) -> bytes:
    return b"%d" % _qemu(stub).physical


def set_physical(stub: Stub, rest: bytes) -> bytes:
    _qemu(stub).physical = bool(number(rest))
    return b"OK"


HANDLERS: Final[Mapping[bytes, Handler]] = {
    b"qqemu.sstepbits": step_bits,
    b"qqemu.sstep": step_flags,
    b"Qqemu.sstep=": set_step_flags,
    b"qqemu.PhyMemMode": physical,
    b"Qqemu.PhyMemMode:": set_physical,
}
