"""An arm64 kernel as a boot loader sees it (Linux, ``Documentation/arch/arm64/booting.rst``)."""

from __future__ import annotations

import struct
from typing import Final

from msgspec import Struct

from vcpu_scenario.assembly.refusal import NotAGuest

ALIGNMENT: Final = 2 << 20
MAGIC: Final = b"ARM\x64"
_HEADER: Final = struct.Struct("<8xQQQ24x4s4x")
_COMPRESSED: Final = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd", b"\xfd7": "xz", b"MZ": "EFI zboot"}
_NOT_CODE: Final = (b"\x7fELF", bytes(4))
"""How an ELF file begins, and memory that was never written: UDF."""
_OLD_OFFSET: Final = 0x8_0000
"""Where a kernel without a size (before 3.17) is loaded, and code without a header."""


class KernelImage(Struct, frozen=True):
    """Where an Image belongs from the beginning of memory, and how much it takes, in bytes."""

    text_offset: int
    size: int


def read_image(data: bytes) -> KernelImage:
    """The header of an Image; code without one is loaded as VMMs load it. Raises
    :class:`~vcpu_scenario.assembly.refusal.NotAGuest`."""
    if len(data) < _HEADER.size:
        raise NotAGuest("it is too short for an arm64 Image")
    offset, size, flags, magic = _HEADER.unpack_from(data)
    if magic != MAGIC:
        if packed := _COMPRESSED.get(data[:2]):
            raise NotAGuest(f"it is packed ({packed}); unpack it first")
        if data[:4] in _NOT_CODE:
            raise NotAGuest("it is neither an arm64 Image nor code")
        return KernelImage(_OLD_OFFSET, len(data) + ALIGNMENT)
    if flags & 1:
        raise NotAGuest("it is big-endian")
    if not size:
        return KernelImage(_OLD_OFFSET, len(data) + ALIGNMENT)
    if size < len(data) or size >> 32 or offset >= ALIGNMENT:
        raise NotAGuest("its header has sizes that cannot be")
    return KernelImage(offset, size)
