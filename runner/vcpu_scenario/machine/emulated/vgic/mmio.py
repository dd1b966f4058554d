"""MMIO of the vGIC's frames: which accesses reach a register, and the registers per interrupt.

An access inside a frame never leaves the kernel. One that fits no register (an unknown offset, a
width that the register does not take, not aligned, an interrupt that is not there) reads as zero
and is ignored when it writes. ``offset`` below counts from the start of the frame, ``length`` is
in bytes. After ``vgic-mmio.c``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from vcpu_scenario.machine.emulated.vgic.core import Interrupts
from vcpu_scenario.machine.emulated.vgic.features import VgicFeatures
from vcpu_scenario.machine.emulated.vgic.irq import NR_PRIVATE_IRQS, VgicIrq
from vcpu_scenario.machine.errors import NotModelled


class Refused(Exception):
    """KVM refuses what the VMM asks of the vGIC, with ``errno``."""

    def __init__(self, errno: int) -> None:
        super().__init__(errno)
        self.errno = errno


Read: TypeAlias = Callable[[Interrupts, int, int], int]
Write: TypeAlias = Callable[[Interrupts, int, int, int], None]

WORD: Final = frozenset({4})
WORD_OR_BYTE: Final = frozenset({1, 4})
WORD_OR_LONG: Final = frozenset({4, 8})


def read_as_zero(gic: Interrupts, offset: int, length: int) -> int:
    return 0


def read_as_one(gic: Interrupts, offset: int, length: int) -> int:
    return (1 << length * 8) - 1


def write_ignored(gic: Interrupts, offset: int, length: int, value: int) -> None:
    pass


class Register(Struct, frozen=True):
    """A register or an array of them. ``read`` and ``write`` get the offset within it; for one
    that has ``bits_per_irq`` they get the first interrupt instead. ``user_read`` and ``user_write``
    are the VMM's, by device attributes, where they are not the guest's; a write of the VMM's may
    raise :class:`Refused`."""

    offset: int
    length: int
    read: Read
    write: Write = write_ignored
    sizes: frozenset[int] = WORD
    bits_per_irq: int = 0
    first_irq: int = 0
    bytes_per_irq: int = 0
    """Of an array for the SPIs whose functions get the offset all the same."""
    user_read: Read | None = None
    user_write: Write | None = None


class Registers:
    """Registers by their offsets from a common base."""

    __slots__ = ("_registers", "_starts")

    def __init__(self, registers: Sequence[Register]) -> None:
        self._registers = sorted(registers, key=lambda register: register.offset)
        self._starts = [register.offset for register in self._registers]

    def find(self, offset: int, length: int, nr_irqs: int) -> tuple[Register, int] | None:
        """The register that an access reaches, and what its functions get beside the length."""
        index = bisect_right(self._starts, offset) - 1
        if index < 0:
            return None
        register = self._registers[index]
        within = offset - register.offset
        if within >= register.length or length not in register.sizes or offset % length:
            return None
        if register.bits_per_irq:
            within = register.first_irq + within * 8 // register.bits_per_irq
            if within >= nr_irqs:
                return None
        elif (each := register.bytes_per_irq) and NR_PRIVATE_IRQS + within // each >= nr_irqs:
            return None
        return register, within

    def access(self, gic: Interrupts, offset: int, length: int, is_write: bool, value: int) -> int:
        """The value that the guest reads, 0 for a write."""
        found = self.find(offset, length, len(gic.irqs))
        if found is None:
            return 0
        register, within = found
        if is_write:
            register.write(gic, within, length, value & (1 << length * 8) - 1)
            return 0
        return register.read(gic, within, length) & (1 << length * 8) - 1

    def user_read(self, gic: Interrupts, offset: int) -> int:
        """A word as the VMM reads it (``vgic_uaccess_read``)."""
        found = self.find(offset, 4, len(gic.irqs))
        if found is None:
            return 0
        register, within = found
        return (register.user_read or register.read)(gic, within, 4) & 0xFFFF_FFFF

    def user_write(self, gic: Interrupts, offset: int, value: int) -> None:
        """A word as the VMM writes it (``vgic_uaccess_write``)."""
        found = self.find(offset, 4, len(gic.irqs))
        if found is not None:
            register, within = found
            (register.user_write or register.write)(gic, within, 4, value & 0xFFFF_FFFF)


class Frame:
    """A region of the guest's physical memory that holds registers."""

    __slots__ = ("access", "base", "end", "size")

    def __init__(self, base: int, size: int, registers: Registers) -> None:
        self.base = base
        self.size = size
        self.end = base + size
        self.access = registers.access


def per_irq(
    offset: int,
    bits: int,
    read: Read,
    write: Write,
    *,
    sizes: frozenset[int] = WORD,
    first_irq: int = 0,
    nr_irqs: int = 1024,
    user: tuple[Read | None, Write | None] = (None, None),
) -> Register:
    """Registers with ``bits`` for each interrupt from ``first_irq`` on, at the offset that
    ``first_irq`` has when they are counted from 0; ``user`` are the VMM's functions."""
    return Register(
        offset + first_irq * bits // 8,
        (nr_irqs - first_irq) * bits // 8,
        read,
        write,
        sizes,
        bits,
        first_irq,
        user_read=user[0],
        user_write=user[1],
    )


def _each(gic: Interrupts, first: int, count: int) -> Iterator[tuple[int, VgicIrq]]:
    return enumerate(gic.irqs[first : first + count])


def _bits(gic: Interrupts, first: int, length: int, test: Callable[[VgicIrq], object]) -> int:
    return sum(1 << i for i, irq in _each(gic, first, length * 8) if test(irq))


def _set_in(gic: Interrupts, first: int, length: int, value: int) -> Iterator[VgicIrq]:
    return (irq for i, irq in _each(gic, first, length * 8) if value >> i & 1)


def read_group(gic: Interrupts, first: int, length: int) -> int:
    return _bits(gic, first, length, lambda irq: irq.group)


def write_group(gic: Interrupts, first: int, length: int, value: int) -> None:
    for i, irq in _each(gic, first, length * 8):
        irq.group = value >> i & 1
        gic.queue(irq)


def read_enable(gic: Interrupts, first: int, length: int) -> int:
    return _bits(gic, first, length, lambda irq: irq.enabled)


def set_enable(gic: Interrupts, first: int, length: int, value: int) -> None:
    for irq in _set_in(gic, first, length, value):
        if irq.fell_disabled and not irq.enabled and not gic.features.line_taken_on_enable:
            raise NotModelled(f"interrupt {irq.intid} enabled after its timer fired and stopped")
        irq.enabled = True
        gic.queue(irq)


def clear_enable(gic: Interrupts, first: int, length: int, value: int) -> None:
    for irq in _set_in(gic, first, length, value):
        irq.enabled = False


def read_pending(gic: Interrupts, first: int, length: int) -> int:
    return _bits(gic, first, length, lambda irq: irq.pending)


def read_pending_as_guest(gic: Interrupts, first: int, length: int) -> int:
    """Of what is tied to the hardware the guest sees the line alone, whatever software set."""
    if not gic.features.pending_of_hardware:
        return read_pending(gic, first, length)
    return _bits(gic, first, length, lambda irq: irq.line_level if irq.tied else irq.pending)


def set_pending(gic: Interrupts, first: int, length: int, value: int) -> None:
    for irq in _set_in(gic, first, length, value):
        irq.pending_latch = True
        gic.queue(irq)


def clear_pending(gic: Interrupts, first: int, length: int, value: int) -> None:
    for irq in _set_in(gic, first, length, value):
        irq.pending_latch = False


def read_latch(gic: Interrupts, first: int, length: int) -> int:
    """What the VMM reads of a GICv3: the lines' levels are read and written apart."""
    return _bits(gic, first, length, lambda irq: irq.pending_latch)


def restore_latch(gic: Interrupts, first: int, length: int, value: int) -> None:
    """``vgic_v3_uaccess_write_pending``: sets what is 1 and clears what is 0."""
    for i, irq in _each(gic, first, length * 8):
        irq.pending_latch = bool(value >> i & 1)
        if irq.pending_latch:
            gic.queue(irq)


def set_pending_by_user(gic: Interrupts, first: int, length: int, value: int) -> None:
    """``vgic_uaccess_write_spending``: of a GICv2's SGIs the vCPU itself becomes the source."""
    for irq in _set_in(gic, first, length, value):
        if irq.is_sgi:
            irq.source |= 1 << gic.number
        irq.pending_latch = True
        gic.queue(irq)


def clear_pending_by_user(gic: Interrupts, first: int, length: int, value: int) -> None:
    for irq in _set_in(gic, first, length, value):
        if irq.is_sgi:
            irq.source = 0
        irq.pending_latch = False


def read_active(gic: Interrupts, first: int, length: int) -> int:
    return _bits(gic, first, length, lambda irq: irq.active)


def set_active(gic: Interrupts, first: int, length: int, value: int) -> None:
    for irq in _set_in(gic, first, length, value):
        irq.active = True
        irq.active_source = 0
        gic.queue(irq)


def clear_active(gic: Interrupts, first: int, length: int, value: int) -> None:
    for irq in _set_in(gic, first, length, value):
        irq.active = False


def read_priority(gic: Interrupts, first: int, length: int) -> int:
    return sum(irq.priority << i * 8 for i, irq in _each(gic, first, length))


def write_priority(gic: Interrupts, first: int, length: int, value: int) -> None:
    for i, irq in _each(gic, first, length):
        irq.priority = value >> i * 8 & 0xF8


def read_config(gic: Interrupts, first: int, length: int) -> int:
    return sum(2 << i * 2 for i, irq in _each(gic, first, length * 4) if irq.edge)


def write_config(gic: Interrupts, first: int, length: int, value: int) -> None:
    """SGIs are edge-triggered and PPIs level-triggered for good."""
    for i, irq in _each(gic, first, length * 4):
        if irq.intid >= NR_PRIVATE_IRQS:
            irq.edge = bool(value >> i * 2 & 2)


def group_accessors(features: VgicFeatures) -> tuple[Read, Write]:
    """Group registers: before groups could be configured they read as group 1."""
    if features.groups_writable:
        return read_group, write_group
    return read_as_one, write_ignored
