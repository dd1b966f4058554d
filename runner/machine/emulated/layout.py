"""Where Unicorn's saved context keeps what it has no call for: the syndrome of an exception.

Unicorn does not fill ESR_ELx; the true syndrome, fault address and target exception level lie
in the saved context, at offsets that belong to a build. They are found by running three
instructions with recognisable values, once a process.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from dataclasses import dataclass
from functools import cache

from runner.machine.emulated import uc

_X0 = 0x5EED_0000_0000_0A64
_PC = 0x5EED000
_EL1H = 5
_SVC_IMM = 0x5EED
_HVC_IMM = 0x5EEE
_EXCLUSIVE = _PC + 0xAB8
_SVC = 0xD4000001 | _SVC_IMM << 5
_LDXR_X1_X0 = 0xC85F7C01
_HVC = 0xD4000002 | _HVC_IMM << 5
_SCR_EL3 = (3, 6, 1, 1, 0)
_HCR_EL2 = (3, 4, 1, 1, 0)


@dataclass(frozen=True, slots=True)
class Layout:
    """Byte offsets in the context: x0 (then x1 to x30, SP, PC), the execution state (PSTATE
    without its flags and masks, then 1 for AArch64, u32 each), the exception's syndrome (u32),
    its fault address (u64) and target exception level (u32), and the address that the exclusive
    monitor watches (u64, all ones where it is clear)."""

    x0: int
    state: int
    syndrome: int
    vaddress: int
    target_el: int
    exclusive: int


@cache
def context_layout() -> Layout:
    """Finds the layout. Raises :class:`~runner.machine.emulated.uc.UnicornError` if the build
    of Unicorn does not keep it where any known build does."""
    engine = uc.Engine()
    page = mmap.mmap(-1, 4096)
    host = ctypes.addressof(ctypes.c_char.from_buffer(page))
    engine.map_ptr(_PC, 4096, uc.UC_PROT_ALL, host)
    page[0:12] = struct.pack("<III", _SVC, _HVC, _LDXR_X1_X0)
    engine.write_sys(_SCR_EL3, 0x531)
    engine.write_sys(_HCR_EL2, 1 << 31)
    engine.write(uc.UC_ARM64_REG_X0, _X0)

    def run(pc: int) -> bytes:
        uc.uc_emu_start(engine.handle, pc, 0, 0, 1)
        engine.save_context()
        return bytes(engine.context_bytes)

    after_svc, after_hvc = run(_PC), run(_PC + 4)
    engine.write(uc.UC_ARM64_REG_X0, _EXCLUSIVE)
    after_ldxr = run(_PC + 8)
    engine.close()
    x0 = after_svc.find(struct.pack("<Q", _X0))
    pc_found = struct.unpack_from("<Q", after_svc, x0 + 32 * 8)[0] if x0 >= 0 else 0
    syndrome = after_svc.find(struct.pack("<I", 0x56000000 | _SVC_IMM))
    exclusive = _monitor(after_svc, after_ldxr)
    state = x0 + 33 * 8
    layout = Layout(x0, state, syndrome, syndrome + 8, syndrome + 16, exclusive)
    hvc_ok = struct.pack("<I", 0x5A000000 | _HVC_IMM) == after_hvc[syndrome : syndrome + 4]
    targets = after_svc[layout.target_el], after_hvc[layout.target_el]
    state_ok = struct.unpack_from("<II", after_svc, state) == (_EL1H, 1)
    found = min(x0, syndrome, exclusive) >= 0
    if not found or pc_found != _PC + 4 or not hvc_ok or not state_ok or targets != (1, 2):
        raise uc.UnicornError(
            "this build of Unicorn keeps its context in an unknown layout; "
            "install the pinned one: pip install unicorn==2.1.4"
        )
    return layout


def _monitor(clear: bytes, watching: bytes) -> int:
    """Where all ones became the address of the LDXR."""
    address = struct.pack("<Q", _EXCLUSIVE)
    at = watching.find(address)
    while at >= 0 and clear[at : at + 8] != b"\xff" * 8:
        at = watching.find(address, at + 1)
    return at
