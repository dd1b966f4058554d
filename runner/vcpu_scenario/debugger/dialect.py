"""What a VMM's stub says on the wire, beyond what its guest does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from vcpu_scenario.debugger.packets import LARGEST


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a stub answers.

    ``size`` is what it says of the size of packets, ``most_read`` the bytes that one ``m`` may ask
    for; ``extras`` are the packets that it has of those that not every stub has. ``two_digits``: a
    thread is ``p01.01`` and not ``p1.1``. ``names_points``: a stop says ``swbreak`` or ``hwbreak``.
    ``wide_watch``: a watchpoint is told with 16 digits. ``needs_xml``: ``p`` and ``P`` are answered
    once the description has been read. ``last_word``: what ``k`` is answered with. ``tells_again``:
    a client that comes to a guest that runs after ``D`` is told of the stop. ``detaches_any``:
    ``D`` may go without a process. ``keeps_bytes``: a register that comes short is filled up with
    what the packet before had there. ``crashes``: some packets end QEMU's process.
    """

    size: int = LARGEST
    most_read: int = LARGEST // 2 - 4
    extras: frozenset[str] = frozenset(
        ("QStartNoAckMode", "X", "x", "bs", "bc", "qRcmd", "swbreak", "hwbreak")
    )
    two_digits: bool = False
    names_points: bool = True
    wide_watch: bool = False
    needs_xml: bool = False
    last_word: str = ""
    tells_again: bool = False
    detaches_any: bool = True
    keeps_bytes: bool = False
    crashes: bool = False
    strict: bool = False


OURS: Final = Dialect()
"""All that the protocol has for a guest that can be run again."""

_QEMU: Final = Dialect(
    size=0x1000,
    most_read=0x800,
    extras=frozenset(("qqemu", "vAttach")),
    two_digits=True,
    names_points=False,
    detaches_any=False,
    keeps_bytes=True,
    crashes=True,
    strict=True,
)
_QEMU_72: Final = replace(_QEMU, wide_watch=True, needs_xml=True, last_word="W00", tells_again=True)
_GDBSTUB: Final = Dialect(
    size=0x1000,
    extras=frozenset(("QStartNoAckMode", "X", "swbreak", "hwbreak")),
    two_digits=True,
    strict=True,
)
"""The crate that the Rust VMMs use (``gdbstub`` 0.7, ``src/stub/core_impl/base.rs``)."""

STRICT: Final[Mapping[str, Dialect]] = {
    "plain": OURS,
    "qemu": _QEMU,
    "qemu-7.2": _QEMU_72,
    "qemu-2017": _QEMU_72,
    "firecracker": _GDBSTUB,
    "cloud-hypervisor": _GDBSTUB,
    "crosvm": _GDBSTUB,
    "kvmtool": replace(_GDBSTUB, extras=frozenset(("swbreak",)), two_digits=False),
}
"""By VMM: what its own stub offers, and no more."""
