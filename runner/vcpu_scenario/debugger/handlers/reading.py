"""``qXfer`` and ``qRcmd``: what the stub has to read, and what its monitor answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vcpu_scenario.debugger.handlers.fields import numbers, unhexed
from vcpu_scenario.debugger.registers import files
from vcpu_scenario.debugger.stub import Bad, Handler, Stub, console


def features(stub: Stub, rest: bytes) -> bytes:
    """A part of a file of the description: ``m`` before more, ``l`` before the last."""
    name, colon, where = rest.partition(b":")
    text = files(stub.target.session.vmm).get(name.decode("ascii", "replace"))
    stub.has_read_xml = True
    if text is None:
        raise Bad(0)
    if not colon:
        raise Bad
    start, length = numbers(where, 2)
    if start > len(text):
        raise Bad(0)
    part = text[start : start + min(length, stub.dialect.most_described)]
    last = start + len(part) >= len(text) and not (stub.dialect.gdbstub and part)
    return f"{'l' if last else 'm'}{part}".encode()


def command(stub: Stub, rest: bytes) -> bytes:
    stub.offers("qRcmd")
    text = unhexed(stub, rest.removeprefix(b",")).decode("utf-8", "replace")
    answer = stub.monitor(text) if stub.monitor is not None else ""
    if not answer:
        return b"OK"
    *before, last = (packet[1:] for packet in console(answer))
    return b"".join((*before, last))


HANDLERS: Final[Mapping[bytes, Handler]] = {
    b"qXfer:features:read:": features,
    b"qRcmd": command,
}
