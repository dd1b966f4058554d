"""Text that is gathered piece by piece, and kept small until it is read."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator
from typing import Final

_PIECE: Final = 1 << 16
"""Bytes that are unpacked at a time."""


class PackedText:
    """Pieces of text, one after the other. Iterating gives the same text in other pieces."""

    def __init__(self) -> None:
        self._packer = zlib.compressobj(1)
        self._packed = bytearray()

    def add(self, text: str) -> None:
        self._packed += self._packer.compress(text.encode("utf-8", "surrogatepass"))

    def __iter__(self) -> Iterator[str]:
        unpacker = zlib.decompressobj()
        decoder = codecs.getincrementaldecoder("utf-8")("surrogatepass")
        left = bytes(self._packed) + self._packer.copy().flush()
        while piece := unpacker.decompress(left, _PIECE):
            left = unpacker.unconsumed_tail
            yield decoder.decode(piece)
