"""What a VMM's stub says on the wire, beyond what its guest does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.debugger.packets import LARGEST


class Dialect(Struct, frozen=True):
    """How a stub answers.

    ``size`` is what it says of the size of packets, ``most_read`` the bytes that one ``m`` may ask
    for, ``most_described`` those of a part of the description; ``extras`` are the packets that it
    has of those that not every stub has. ``two_digits``: a thread is ``p01.01`` and not ``p1.1``.
    ``names_points``: a stop says ``swbreak`` or ``hwbreak``. ``wide_watch``: a watchpoint is told
    with 16 digits. ``needs_xml``: ``p`` and ``P`` are answered once the description has been read.
    ``last_word``: what ``k`` is answered with. ``tells_again``: a client that comes to a guest that
    runs after ``D`` is told of the stop. ``lacks`` are the packets that it does not know,
    and ``thread_words`` what it says of a thread. ``refuses`` and ``cannot_reach`` are the errors
    of a breakpoint, and of memory, ``not_set`` that of one to be removed that is not there,
    ``no_thread`` what ``T`` is answered with of no thread; ``hexadecimal``: so are the others.
    ``lists_threads``: all in one packet. ``survives``: the VM continues after ``k``. ``clears``:
    ``?`` and ``D`` take breakpoints away. ``gdbstub``: it answers as the crate of that name where
    that differs, and ``qemu``: as QEMU, whose buffer keeps what packets before had where one comes
    short, and whose process some packets end. ``ends_at_detach``: so does the VM.
    ``chooses_resumed``: a ^C is told of the last vCPU that ``vCont`` had an action for, else of the
    one that was chosen; ``knows_all``: an id that is that of all threads is that of the first.
    """

    size: int = LARGEST
    most_read: int = LARGEST // 2 - 4
    most_described: int = LARGEST - 4
    extras: frozenset[str] = frozenset(
        ("QStartNoAckMode", "X", "x", "bs", "bc", "qRcmd", "swbreak", "hwbreak", "multiprocess")
    )
    two_digits: bool = False
    names_points: bool = True
    wide_watch: bool = False
    needs_xml: bool = False
    last_word: str = ""
    tells_again: bool = False
    lacks: frozenset[bytes] = frozenset()
    thread_words: str = "CPU#{vcpu} [{state}]"
    refuses: bytes = b"E22"
    cannot_reach: bytes = b"E14"
    not_set: bytes = b""
    no_thread: bytes = b"E22"
    hexadecimal: bool = False
    lists_threads: bool = False
    survives: bool = False
    clears: bool = True
    qemu: bool = False
    gdbstub: bool = False
    ends_at_detach: bool = False
    chooses_resumed: bool = True
    knows_all: bool = True
    strict: bool = False


OURS: Final = Dialect()
"""All that the protocol has for a guest that can be run again."""

_QEMU: Final = Dialect(
    size=0x1000,
    most_read=0x800,
    most_described=(0x1000 - 5) // 2,  # handle_query_xfer_features
    extras=frozenset(("qqemu", "vAttach", "multiprocess")),
    two_digits=True,
    names_points=False,
    qemu=True,
    strict=True,
)
_QEMU_72: Final = replace(
    _QEMU,
    wide_watch=True,
    needs_xml=True,
    last_word="W00",
    tells_again=True,
    chooses_resumed=False,
    knows_all=False,
)
_KVMTOOL: Final = Dialect(
    size=0x4000,
    most_read=0x1000,
    extras=frozenset(("swbreak", "hwbreak", "X")),
    lacks=frozenset((b"vCont?", b"vCont;", b"vCont", b"qAttached", b"qAttached:", b"vKill;", b"!")),
    thread_words="vCPU {vcpu}",
    refuses=b"E1c",
    cannot_reach=b"E0e",
    not_set=b"E02",
    no_thread=b"E03",
    hexadecimal=True,
    lists_threads=True,
    survives=True,
    strict=True,
)
"""``handle_packet`` of its ``gdb.c``; its errors are ``errno`` in hexadecimal."""
_GDBSTUB: Final = Dialect(
    size=0x1000,
    most_described=0x1000 - 4,
    strict=True,
    extras=frozenset(("QStartNoAckMode", "X", "hwbreak", "multiprocess")),
    two_digits=True,
    lacks=frozenset((b"qC", b"!", b"C", b"p", b"P", b"qThreadExtraInfo,")),
    refuses=b"E16",
    cannot_reach=b"E79",
    no_thread=b"E01",
    lists_threads=True,
    clears=False,
    gdbstub=True,
)
"""The crate that the Rust VMMs use (``gdbstub`` 0.7.10, ``src/protocol/commands.rs`` and
``src/stub/core_impl/``, 9c644ea): 22 and 121 in hexadecimal are its errors."""

STRICT: Final[Mapping[str, Dialect]] = {
    "plain": OURS,
    "qemu": _QEMU,
    "qemu-7.2": _QEMU_72,
    "qemu-2017": _QEMU_72,
    "firecracker": replace(
        _GDBSTUB,
        extras=_GDBSTUB.extras | {"swbreak"},
        lacks=_GDBSTUB.lacks - {b"qThreadExtraInfo,"},
        thread_words="Vcpu ID: {vcpu}",  # thread_extra_info of src/vmm/src/gdb/target.rs
        ends_at_detach=True,  # gdb_event_loop_thread of src/vmm/src/gdb/event_loop.rs
    ),
    "cloud-hypervisor": _GDBSTUB,
    # add_hw_breakpoint of src/crosvm/gdb.rs fails where there are too many.
    "crosvm": replace(_GDBSTUB, lacks=_GDBSTUB.lacks - {b"p", b"P"}, refuses=b"E79"),
    "kvmtool": _KVMTOOL,
}
"""By VMM: what its own stub offers, and no more."""
