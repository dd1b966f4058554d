"""How a lab's host and its guest talk: two boxes in memory that both have mapped.

QEMU shows the memory to the guest as the BAR of an ``ivshmem-plain`` PCI device, which a guest
reads without any driver and which raises no interrupt, so that talking disturbs no measurement.
Each side writes to one box and reads the other's, in strict turns: the guest begins with
``ready``, then each ``case`` is answered by one of ``trace``, ``skip`` (the case asks for what
real KVM cannot do) or ``failed`` (our own fault), each ``survey`` by ``answers`` in the place
of ``trace``, each ``program`` by ``ended`` and each ``steps`` by ``course``, until ``quit``.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from typing import Final

SIZE: Final = 1 << 26
"""Bytes of the shared memory: one box each way, the host's first."""

_BOX: Final = SIZE // 2
_HEADER: Final = struct.Struct("<III")
"""Number of the message from 1, its length, and the CRC-32 of both it and its number.

The other side may look while the header is half written; no such one has a matching CRC.
"""

READY: Final = "ready"
CASE: Final = "case"
TRACE: Final = "trace"
SURVEY: Final = "survey"
ANSWERS: Final = "answers"
PROGRAM: Final = "program"
ENDED: Final = "ended"
STEPS: Final = "steps"
COURSE: Final = "course"
SESSION: Final = "session"
RECORDED: Final = "recorded"
SKIP: Final = "skip"
FAILED: Final = "failed"
QUIT: Final = "quit"


class Mailbox:
    """One side's view of the shared memory."""

    def __init__(self, memory: mmap.mmap, *, host: bool) -> None:
        self._memory = memory
        self._outbox, self._inbox = (0, _BOX) if host else (_BOX, 0)
        self._sent = self._received = 0

    def send(self, word: str, text: str = "") -> None:
        """Raises ValueError where the message is larger than a box."""
        data = f"{word} {text}".encode()
        start = self._outbox + _HEADER.size
        if len(data) > _BOX - _HEADER.size:
            raise ValueError(f"a message of {len(data)} bytes; {_BOX - _HEADER.size} fit")
        self._memory[start : start + len(data)] = data
        self._sent += 1
        header = _HEADER.pack(self._sent, len(data), zlib.crc32(data, self._sent))
        self._memory[self._outbox : start] = header

    def receive(self) -> tuple[str, str] | None:
        """The other side's next (word, text), or None while there is none."""
        number, length, check = _HEADER.unpack_from(self._memory, self._inbox)
        if number != self._received + 1 or length > _BOX - _HEADER.size:
            return None
        start = self._inbox + _HEADER.size
        data = self._memory[start : start + length]
        if zlib.crc32(data, number) != check:
            return None
        self._received = number
        word, _, text = data.decode().partition(" ")
        return word, text
