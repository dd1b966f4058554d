"""The guest's accesses to the CPU interface of a GICv2, which stage 2 maps: no exit.

The recorded CPU makes two aligned loads of one that is not aligned, and stores bytes.
"""

from __future__ import annotations

from typing import Final

from vcpu_scenario.arm64.branches import signed
from vcpu_scenario.arm64.disassembly import disassemble
from vcpu_scenario.machine.emulated.cpu import decode
from vcpu_scenario.machine.emulated.cpu.gicport import GicvPort
from vcpu_scenario.machine.emulated.cpu.hardware import EXIT_IRQ, Hardware
from vcpu_scenario.machine.errors import NotModelled

_WRITE_BACK: Final = 1 << 10
"""Of a load or store of one register with an offset that is not scaled: it writes back, before or
after."""


def is_in(gicv: GicvPort, ipa: int) -> bool:
    base, size = gicv.mapped()
    return base <= ipa < base + size


def access(cpu: Hardware, gicv: GicvPort, ipa: int, word: int, *, is_write: bool) -> int | None:
    """Raises :class:`NotModelled` for what has no valid syndrome, but for its write-back, and for
    what reaches beyond the interface."""
    iss = decode.isv_syndrome(word)
    writes_back = not iss and _is_unscaled(word) and bool(word & _WRITE_BACK)
    if writes_back:
        iss = decode.isv_syndrome(word & ~(3 << 10))
    rt, length = iss >> 16 & 31, 1 << (iss >> 22 & 3)
    if not iss or not is_in(gicv, ipa + length - 1):
        raise NotModelled(f"`{disassemble(word, cpu.pc)}` of the CPU interface of a GICv2")
    offset = ipa - gicv.mapped()[0]
    order: Final = "big" if cpu.is_big_endian else "little"
    if is_write:
        _store(gicv, offset, (cpu.x_or_zero(rt) & (1 << 8 * length) - 1).to_bytes(length, order))
    else:
        value = int.from_bytes(_load(gicv, offset, length), order)
        cpu.set_x(rt, decode.extended(value, iss))
    if writes_back:
        base = word >> 5 & 31
        cpu.regs[base] = cpu.regs[base] + signed(word >> 12, 9) & (1 << 64) - 1
    cpu.sync_interrupt_lines()
    outcome = cpu.finish_natively()
    return EXIT_IRQ if outcome is None and gicv.maintenance() else outcome


def _is_unscaled(word: int) -> bool:
    return word >> 24 & 0x3F == 0b111000 and not word >> 21 & 1


def _load(gicv: GicvPort, offset: int, length: int) -> bytes:
    skipped = offset % length
    aligned = range(offset - skipped, offset + length, length)
    found = b"".join(gicv.gicv(at, length, False, 0).to_bytes(length, "little") for at in aligned)
    return found[skipped : skipped + length]


def _store(gicv: GicvPort, offset: int, data: bytes) -> None:
    size = 1 if offset % len(data) else len(data)
    for at in range(0, len(data), size):
        gicv.gicv(offset + at, size, True, int.from_bytes(data[at : at + size], "little"))
