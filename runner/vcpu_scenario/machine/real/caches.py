"""Makes what the VMM wrote visible to a guest that runs with its caches off, and the reverse.

Userspace writes through its own cacheable mapping; a guest before it turns its MMU on reads
memory past the data cache, and fetches through an instruction cache that nobody told. KVM cleans
a page when it first maps it, later writes are the VMM's own affair (Arm ARM D7.5, "Caches").
"""

from __future__ import annotations

import ctypes
import mmap
import os
from functools import cache
from typing import Any, Final

_CODE: Final = (
    0x927CEC02,  # and x2, x0, #~15     16 bytes is the smallest line that CTR_EL0 can name
    0xD50B7E22,  # dc civac, x2
    0x91004042,  # add x2, x2, #16
    0xEB01005F,  # cmp x2, x1
    0x54FFFFA3,  # b.lo dc
    0xD5033B9F,  # dsb ish
    0x927CEC02,  # and x2, x0, #~15
    0xD50B7522,  # ic ivau, x2
    0x91004042,  # add x2, x2, #16
    0xEB01005F,  # cmp x2, x1
    0x54FFFFA3,  # b.lo ic
    0xD5033B9F,  # dsb ish
    0xD5033FDF,  # isb
    0xD65F03C0,  # ret
)


@cache
def _routine() -> tuple[Any, mmap.mmap]:
    page = mmap.mmap(
        -1,
        mmap.PAGESIZE,
        flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
        prot=mmap.PROT_READ | mmap.PROT_WRITE,
    )
    page.write(b"".join(word.to_bytes(4, "little") for word in _CODE))
    entry = ctypes.addressof(ctypes.c_char.from_buffer(page))
    # Written first and made executable after: it is then that Linux synchronises the page itself.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(entry), mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC):
        error = ctypes.get_errno()
        raise OSError(error, f"mprotect: {os.strerror(error)}")
    prototype = ctypes.CFUNCTYPE(None, ctypes.c_uint64, ctypes.c_uint64)
    return prototype(entry), page


def synchronise(address: int, length: int) -> None:
    """Cleans and drops ``length`` bytes of cache at the host's ``address``; arm64 hosts only."""
    if length:
        routine, _ = _routine()
        routine(address, address + length)
