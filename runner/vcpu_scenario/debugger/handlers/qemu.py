"""Packets that QEMU alone has (``gdbstub/gdbstub.c``, its ``qemu.`` queries)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vcpu_scenario.debugger.handlers.fields import number
from vcpu_scenario.debugger.stub import WHOLE, Bad, Handler, NotOffered, Stub
from vcpu_scenario.vmm.vmms.qemu import Qemu

_ENABLE: Final = 1
"""``SSTEP_ENABLE``; KVM of arm64 can neither hold interrupts nor timers back during a step."""


def _qemu(stub: Stub) -> Qemu:
    vmm = stub.target.session.vmm
    stub.offers("qqemu")
    if not isinstance(vmm, Qemu):
        raise NotOffered
    return vmm


def queries(stub: Stub, rest: bytes) -> bytes:
    _qemu(stub)
    return b"sstepbits;sstep;PhyMemMode"


def step_bits(stub: Stub, rest: bytes) -> bytes:
    _qemu(stub)
    return b"ENABLE=%x" % _ENABLE


def step_flags(stub: Stub, rest: bytes) -> bytes:
    return b"0x%x" % (_ENABLE if _qemu(stub).steps else 0)


def set_step_flags(stub: Stub, rest: bytes) -> bytes | None:
    vmm = _qemu(stub)
    if not rest:
        return None  # handle_set_qemu_sstep answers nothing then
    flags = number(rest)
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
    b"qqemu.Supported" + WHOLE: queries,
    # gdb_gen_query_set_common_table is for q and Q.
    **{
        letter + name: handler
        for letter in (b"q", b"Q")
        for name, handler in (
            (b"qemu.sstepbits" + WHOLE, step_bits),
            (b"qemu.sstep" + WHOLE, step_flags),
            (b"qemu.sstep=", set_step_flags),
        )
    },
    b"Qqemu.sstep:": set_step_flags,
    b"qqemu.PhyMemMode" + WHOLE: physical,
    b"Qqemu.PhyMemMode:": set_physical,
}
