"""Registers and memory: ``g``, ``G``, ``p``, ``P``, ``m``, ``M``, ``x``, ``X``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from vcpu_scenario.debugger.handlers.fields import number, numbers, unhexed
from vcpu_scenario.debugger.registers import CORE, REGISTERS
from vcpu_scenario.debugger.stub import Bad, Handler, NotOffered, Stub
from vcpu_scenario.vmm.vmms.base import FPCR, FPSR


def all_registers(stub: Stub, rest: bytes) -> bytes:
    return b"".join(_register(stub, n) for n in _all(stub))


def _all(stub: Stub) -> Sequence[int]:
    """``AArch64CoreRegs`` of gdbstub_arch has all of FP too, FPCR before FPSR."""
    if stub.dialect.gdbstub:
        return (*range(FPSR), FPCR, FPSR)
    return range(len(CORE))


def _register(stub: Stub, n: int) -> bytes:
    size = REGISTERS[n].size
    value = stub.target.read_register(n) & (1 << 8 * size) - 1
    return value.to_bytes(size, "little").hex().encode()


def write_all(stub: Stub, rest: bytes) -> bytes | None:
    """As many as there are; what is left of the last is not written."""
    if not rest and stub.dialect.silent:
        return None
    data = unhexed(rest)
    for n in _all(stub):
        size = REGISTERS[n].size
        value, data = data[:size], data[size:]
        if len(value) < size:
            break
        stub.target.write_register(n, int.from_bytes(value, "little"))
    return b"OK"


def _has_xml(stub: Stub) -> None:
    if stub.dialect.needs_xml and not stub.has_read_xml:
        raise NotOffered


def register(stub: Stub, rest: bytes) -> bytes:
    _has_xml(stub)
    if not rest and stub.dialect.silent:
        raise Bad(14)
    n = number(rest.split(b";")[0])
    if n >= len(REGISTERS):
        raise Bad(14)
    return _register(stub, n)


def write_register(stub: Stub, rest: bytes) -> bytes:
    _has_xml(stub)
    name, equals, text = rest.partition(b"=")
    n = number(name)
    if not equals or not text:
        raise Bad
    data = unhexed(text.split(b";")[0])
    if n >= len(REGISTERS):
        if not stub.dialect.strict:
            raise Bad(14)
        return b"OK"
    size = REGISTERS[n].size
    if len(data) < size and not stub.dialect.keeps_bytes:
        raise Bad
    if stub.dialect.keeps_bytes:
        stub.kept = data = data + stub.kept[len(data) :]
    stub.target.write_register(n, int.from_bytes(data[:size].ljust(size, b"\0"), "little"))
    return b"OK"


def read(stub: Stub, rest: bytes) -> bytes:
    return _read(stub, rest).hex().encode()


def _read(stub: Stub, rest: bytes) -> bytes:
    addr, length = numbers(rest, 2)
    if length > stub.dialect.most_read:
        raise Bad
    return stub.target.read_memory(addr, length)


def read_binary(stub: Stub, rest: bytes) -> bytes:
    stub.offers("x")
    return b"b" + _read(stub, rest)


def write(stub: Stub, rest: bytes) -> bytes:
    where, colon, text = rest.partition(b":")
    addr, length = numbers(where, 2)
    data = unhexed(text)
    if not colon or not data or len(data) < length:
        raise Bad
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
