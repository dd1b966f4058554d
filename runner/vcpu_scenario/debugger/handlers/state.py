"""Registers and memory: ``g``, ``G``, ``p``, ``P``, ``m``, ``M``, ``x``, ``X``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from vcpu_scenario.debugger.handlers.fields import number, numbers, unhexed
from vcpu_scenario.debugger.registers import CORE, REGISTERS, SYSTEM
from vcpu_scenario.debugger.stub import Bad, Handler, NotOffered, Stub
from vcpu_scenario.vmm.vmms.terms import FPCR, FPSR, Unknown

_DELIMITER: Final = re.compile(rb"[,;:=]")


def all_registers(stub: Stub, rest: bytes) -> bytes:
    stub.target.synchronize()
    values = b"".join(_register(stub, n) for n in _all(stub))
    stub.filled(values, 0)
    return values.hex().encode()


def _all(stub: Stub) -> Sequence[int]:
    """``AArch64CoreRegs`` of gdbstub_arch has all of FP too, FPCR before FPSR."""
    if stub.dialect.gdbstub:
        return (*range(FPSR), FPCR, FPSR)
    return range(len(CORE))


def _count(stub: Stub) -> int:
    """How many registers there are, the VMM's own at the end."""
    return len(REGISTERS) + len(stub.target.session.vmm.system_registers)


def _register(stub: Stub, n: int) -> bytes:
    size = REGISTERS[n].size if n < len(REGISTERS) else SYSTEM
    value = stub.target.read_register(n) & (1 << 8 * size) - 1
    return value.to_bytes(size, "little")


def write_all(stub: Stub, rest: bytes) -> bytes | None:
    """As many as there are; what is left of the last is not written. QEMU continues to write all of
    them then, from its buffer (``handle_write_all_regs``: its count of bytes runs below 0)."""
    if not rest and stub.dialect.qemu:
        return None
    stub.target.synchronize()
    data = unhexed(stub, rest)
    end, at = len(data), 0
    if stub.dialect.qemu:
        data = stub.filled(data, sum(REGISTERS[n].size for n in _all(stub)))
    for n in _all(stub):
        size = REGISTERS[n].size
        if at == end or len(data) < at + size:
            break
        stub.target.write_register(n, int.from_bytes(data[at : at + size], "little"))
        at += size
    return b"OK"


def _has_xml(stub: Stub) -> None:
    if stub.dialect.needs_xml and not stub.has_read_xml:
        raise NotOffered


def register(stub: Stub, rest: bytes) -> bytes:
    _has_xml(stub)
    if not rest and stub.dialect.qemu:
        raise Bad(14)
    n = number(rest)
    if n >= _count(stub):
        raise Bad(14)
    try:
        value = _register(stub, n)
    except Unknown:
        if stub.dialect.strict:
            raise Bad(14) from None
        return b"x" * 2 * SYSTEM
    stub.filled(value, 0)
    return value.hex().encode()


def write_register(stub: Stub, rest: bytes) -> bytes:
    _has_xml(stub)
    n = number(rest)
    *_, text = _DELIMITER.split(rest, maxsplit=1)
    if not text or text == rest:
        raise Bad
    data = unhexed(stub, text.split(b";")[0])
    if n >= len(REGISTERS):
        # QEMU writes no system register (arm_gdb_set_sysreg), and says so of none.
        if not stub.dialect.strict and n >= _count(stub):
            raise Bad(14)
        return b"OK"
    size = REGISTERS[n].size
    if stub.dialect.qemu:
        data = stub.filled(data, size)
    if len(data) < size:
        raise Bad
    stub.target.write_register(n, int.from_bytes(data[:size], "little"))
    return b"OK"


def read(stub: Stub, rest: bytes) -> bytes:
    return _read(stub, rest).hex().encode()


def _read(stub: Stub, rest: bytes) -> bytes:
    addr, length = numbers(rest, 2)
    if length > stub.dialect.most_read:
        raise Bad
    data = stub.target.read_memory(addr, length)
    stub.filled(data, 0)
    return data


def read_binary(stub: Stub, rest: bytes) -> bytes:
    stub.offers("x")
    return b"b" + _read(stub, rest)


def write(stub: Stub, rest: bytes) -> bytes:
    where, colon, text = rest.partition(b":")
    addr, length = numbers(where, 2)
    data = unhexed(stub, text)
    if not colon or not text or len(data) < length:
        raise Bad
    stub.filled(data[:length], 0)
    stub.target.write_memory(addr, data[:length])
    return b"OK"


def write_binary(stub: Stub, rest: bytes) -> bytes:
    stub.offers("X")
    where, _, data = rest.partition(b":")
    addr, length = numbers(where, 2)
    if len(data) != length:
        raise Bad
    stub.target.write_memory(addr, data)
    return b"OK"


HANDLERS: Final[Mapping[bytes, Handler]] = {
    b"g": all_registers,
    b"G": write_all,
    b"p": register,
    b"P": write_register,
    b"m": read,
    b"M": write,
    b"x": read_binary,
    b"X": write_binary,
}
