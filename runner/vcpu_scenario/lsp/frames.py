"""The messages of the base protocol on this process's standard streams: read with bounds, written
whole.

What is no message is answered as JSON-RPC asks for, and the next one is read; only what leaves no
way to tell where the next one begins ends the conversation.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import sys
from typing import Any, Final

MAX_BODY: Final = 32 << 20
"""Bytes of a message. A larger one is passed over: no scenario comes near it."""
MAX_HEADER: Final = 8 << 10
"""Bytes of a line of a header, and lines of a header together."""
_CHUNK: Final = 1 << 16


class BadMessage(Exception):
    """A frame without a message in it, in words; the next one can be read."""


class Ended(Exception):
    """The client is gone, or what it sends cannot be taken apart."""


class Incoming:
    """Messages from a stream, in order."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def next(self) -> Any:
        """The next message. Raises :class:`BadMessage` and :class:`Ended`."""
        length = await self._length()
        if length > MAX_BODY:
            await self._skip(length)
            raise BadMessage(f"a message of {length} bytes; at most {MAX_BODY} are taken")
        try:
            body = await self._reader.readexactly(length)
        except asyncio.IncompleteReadError:
            raise Ended("the client is gone within a message") from None
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BadMessage(f"not JSON: {error}"[:200]) from None

    async def _length(self) -> int:
        found: int | None = None
        room = MAX_HEADER
        while line := await self._line():
            room -= len(line)
            if room < 0:
                raise Ended("a header without end")
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                value = value.strip()
                # Not int() alone, which takes 1_0, and any number of digits.
                if not value.isdigit() or len(value) > 15:
                    raise Ended(f"Content-Length: {value[:40]!r} is no length")
                found = int(value)
        if found is None:
            raise BadMessage("a header without Content-Length")
        return found

    async def _line(self) -> bytes:
        """A line of a header without its end; empty at the header's end."""
        try:
            line = await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as end:
            raise Ended("the client is gone" if not end.partial else "half a header") from None
        except asyncio.LimitOverrunError:
            raise Ended("a line without end in a header") from None
        return line.rstrip(b"\r\n")

    async def _skip(self, length: int) -> None:
        while length > 0:
            chunk = await self._reader.read(min(length, _CHUNK))
            if not chunk:
                raise Ended("the client is gone within a message")
            length -= len(chunk)


class Outgoing:
    """Where messages go, a file's number; once the client is gone, nowhere."""

    def __init__(self, number: int) -> None:
        self._number: int | None = number

    def write(self, data: bytes) -> None:
        """Writes ``data`` as a whole."""
        left = memoryview(data)
        while left and self._number is not None:
            try:
                left = left[os.write(self._number, left) :]
            except BlockingIOError:  # where input and output are one socket, or a terminal
                select.select([], [self._number], [])
            except OSError:
                self._number = None

    def close(self) -> None:
        """Writes no more."""
        self._number = None


def own_stdout() -> int:
    """Standard output for messages alone: whatever else is printed goes to standard error."""
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    return own


async def standard_input() -> asyncio.StreamReader:
    """Standard input as a stream. Raises ValueError where that is no pipe, socket or terminal."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=MAX_HEADER)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    return reader
