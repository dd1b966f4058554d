"""Packets that no debugger sends, and conversations cut into pieces: the stub answers each, or says
nothing, within a bound, and its guest is where a guest can be."""

from __future__ import annotations

import re
from random import Random
from typing import Final

from vcpu_scenario.debugger.dialect import OURS, STRICT
from vcpu_scenario.debugger.handlers import HANDLERS
from vcpu_scenario.debugger.history import History
from vcpu_scenario.debugger.packets import LARGEST, framed
from vcpu_scenario.debugger.stub import Stub
from vcpu_scenario.vmm.vmms import VMMS

from tests.debugger.guests import AT, CASE, CELL, PAIR, making
from tests.fuzz.finding import Finding

_KERNELS: Final = ("4.14", "5.10", "6.12", "7.2")
_NAMES: Final[tuple[str, ...]] = (
    *(name.decode() for name in HANDLERS),
    *"gGpPmMxXsScCtTRiIkDHZz?!AbBdefFjJlLnNoOqQrruUvVwWyY",
    "vCont;s:p1.1;c:p1.-1",
    "vCont;c",
    "vCont;s:2;c:1",
    "vCont;s:p1.1;s:p1.2",
    *("Hg2", "Hcp1.2", "Hgp1.", "Hc", "Tp1.", "qThreadExtraInfo,p1."),
    "qXfer:features:read:target.xml:",
    "qXfer:auxv:read::",
)
_ADDRESSES: Final = (AT, AT + 8, CELL, 0, 0x0900_0000, 1 << 47, (1 << 64) - 1, AT + 0xFFFC, AT + 1)
_REPLY: Final = re.compile(rb"(?:[+-]|\$(?:[^#$}*]|\}.)*#[0-9a-f]{2})*", re.DOTALL)
_PACKETS: Final = 20
"""Packets of a conversation."""


class PacketsTarget:
    """Holds one conversation for each seed."""

    def run(self, seed: int) -> str:
        rng = Random(seed)
        vmm = rng.choice(list(VMMS))
        dialect = rng.choice((OURS, STRICT[vmm]))
        kernel, case = rng.choice(_KERNELS), rng.choice((CASE, PAIR))
        history = History(making(vmm, kernel, CASE if VMMS[vmm].refuses_several else case))
        try:
            stub = Stub(history, dialect, HANDLERS, lambda text: text)
            stub.connected()
            for data in pieces(Random(seed)):
                self._say(stub, data, rng)
                if stub.closing:
                    stub.connected()
            return "over" if history.session.over else "answered"
        finally:
            history.close()

    def _say(self, stub: Stub, data: bytes, rng: Random) -> None:
        came = stub.receive(data)
        for _ in range(10 * _PACKETS):
            if stub.resume is None:
                break
            # A ^C may fall into a packet that has begun; a client that is gone ends every run.
            more = iter((*[b""] * rng.randrange(1, 4), rng.choice((b"\x03", b"")), b"\x03"))
            came += stub.run(lambda more=more: next(more, None))  # type: ignore[misc]
        else:
            raise Finding(f"resumes do not end: {data!r}")
        if _REPLY.fullmatch(came) is None:
            raise Finding(f"no reply of the protocol: {came[:200]!r} to {data[:200]!r}")

    def artefact(self, seed: int) -> tuple[str, bytes]:
        return ".bin", b"".join(pieces(Random(seed)))

    def close(self) -> None:
        """Nothing is left."""


def pieces(rng: Random) -> list[bytes]:
    """A conversation, cut wherever it falls."""
    data = b"".join(_packet(rng) for _ in range(_PACKETS))
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(8)))
    return [data[start:end] for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True)]


def _packet(rng: Random) -> bytes:
    kind = rng.randrange(12)
    if kind == 0:
        return rng.randbytes(rng.randrange(40))
    if kind == 1:
        signs = (b"\x03", b"+", b"-", b"$", b"#", b"$#00", b"\x03\x03", b"$m#")
        return signs[rng.randrange(len(signs))]
    body = _body(rng)
    if kind == 2:
        body = body[: rng.randrange(len(body) + 1)]
    if kind == 3 and body:
        at = rng.randrange(len(body))
        body = body[:at] + rng.randbytes(1) + body[at + 1 :]
    if kind == 4 and rng.randrange(20) == 0:
        body = body * (LARGEST // max(1, len(body)) + 2)
    packet = framed(body)
    return packet[:-1] + b"x" if rng.randrange(30) == 0 else packet


def _body(rng: Random) -> bytes:
    name = rng.choice(_NAMES)
    numbers = [_number(rng) for _ in range(rng.randrange(4))]
    text = name + rng.choice((",", ":", ";", "=", "")).join(numbers)
    if rng.randrange(3) == 0:
        text += rng.choice((":", "=", ";", ",")) + rng.randbytes(rng.randrange(20)).hex()
    return text.encode()


def _number(rng: Random) -> str:
    return rng.choice(
        (
            f"{rng.choice(_ADDRESSES):x}",
            f"{rng.randrange(70):x}",
            f"{rng.getrandbits(64):x}",
            "4",
            "-1",
            "",
            "zz",
            "f" * 17,
            f"{(1 << 64) - rng.randrange(1, 9):x},{rng.choice((1, 4, 8, 16, LARGEST)):x}",
            f"{AT:x},{1 << rng.randrange(64):x}",
        )
    )
