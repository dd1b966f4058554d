"""The guest's stage-1 walk, where Unicorn's own is not available.

A walk that meets a page which stage 2 does not map yet is a stage-2 fault of its own
(ESR_EL2.ISS.S1PTW): KVM maps the page and the guest continues. Unicorn would report an abort to EL1
instead. And it must not be asked for an address while it makes an access.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.machine.emulated.cpu.hardware import Hardware
from vcpu_scenario.machine.errors import NotModelled

_ADDRESS: Final = 0xFFFF_FFFF_F000
_PAGE_BITS_TG0: Final = {0: 12, 1: 16, 2: 14}
_PAGE_BITS_TG1: Final = {2: 12, 3: 16, 1: 14}
_BLOCK: Final = 1
_TABLE: Final = 3
"""A page, at the last level."""


_OUTPUT_BITS: Final = (32, 36, 40, 42, 44)
"""By TCR_EL1.IPS; a Cortex-A57 has no more than the last."""
_BITS_OF_MEMORY: Final = 40
"""Beyond these there is none, so that no table is there that Unicorn could have read."""
_LAST_LEVEL: Final = 3
_IN_A_BLOCK: Final = (1 << 21) - 1
_HA: Final = 1 << 39
AF: Final = 1 << 10
"""A descriptor's access flag."""


class _Step(NamedTuple):
    """A descriptor on a walk: where it is, what it says, the bits of address below it, and the
    level of its table."""

    at: int
    descriptor: int
    bits: int
    level: int

    @property
    def last(self) -> bool:
        return self.level == _LAST_LEVEL

    @property
    def maps(self) -> bool:
        """Whether the walk ends here with an address."""
        return self.descriptor & 3 == (_TABLE if self.last else _BLOCK)


def _va_bits(tcr: int, *, upper: bool) -> int:
    return 64 - (tcr >> (16 if upper else 0) & 0x3F)


def _translates(tcr: int, va: int) -> bool:
    """Whether there is a walk for ``va``: its range has one (TCR_EL1.EPD0, EPD1), and it lies in
    that range, of which the top byte may be left out (TBI0, TBI1)."""
    upper = va >> 55 & 1
    if tcr >> (23 if upper else 7) & 1:
        return False
    bits, top = _va_bits(tcr, upper=bool(upper)), 56 if tcr >> 37 + upper & 1 else 64
    above = va >> bits & (1 << max(top - bits, 0)) - 1
    return above == (((1 << max(top - bits, 0)) - 1) if upper else 0)


def _walk(cpu: Hardware, va: int) -> Iterator[_Step]:
    """The walk for ``va``, up to a table that lies in no memslot and says nothing.

    What stage 2 does not map yet is read all the same.
    """
    tcr = cpu.read_sys(sysregs.TCR_EL1)
    upper = bool(va >> 55 & 1)
    if not _translates(tcr, va):
        return
    page_bits = (
        _PAGE_BITS_TG1.get(tcr >> 30 & 3, 12) if upper else _PAGE_BITS_TG0.get(tcr >> 14 & 3, 12)
    )
    va_bits = _va_bits(tcr, upper=upper)
    if not page_bits < va_bits <= 52:
        return
    stride = page_bits - 3
    table = cpu.read_sys(sysregs.TTBR1_EL1 if upper else sysregs.TTBR0_EL1) & _ADDRESS
    va &= (1 << va_bits) - 1
    for level in reversed(range(-(-(va_bits - page_bits) // stride))):
        bits = page_bits + level * stride
        at = table + 8 * (va >> bits & (1 << stride) - 1)
        found = cpu.stage2.read(at, 8)
        descriptor = int.from_bytes(found or b"", "little")
        yield _Step(at, descriptor, bits, _LAST_LEVEL - level)
        if descriptor & 3 != _TABLE:
            return
        table = descriptor & _ADDRESS & -(1 << page_bits)


class Unmapped(NamedTuple):
    """A descriptor in a page which stage 2 does not map, or not for what the walk is to do: its
    IPA, and the level of its table."""

    at: int
    level: int


def unmapped_table(cpu: Hardware, va: int) -> Unmapped | None:
    """The first such descriptor on the walk for ``va``, in a memslot or outside of all; None where
    there is none."""
    for step in _walk(cpu, va):
        slot = cpu.stage2.slot_at(step.at)
        if slot is None or not slot.maps(step.at):
            return Unmapped(step.at, step.level)
    return None


def unflagged_leaf(cpu: Hardware, va: int) -> Unmapped | None:
    """The descriptor in which the walk for ``va`` is to set the access flag (FEAT_HAFDBS,
    TCR_EL1.HA); None where there is none."""
    if not (cpu.model.armv8_2 and cpu.read_sys(sysregs.TCR_EL1) & _HA):
        return None
    for step in _walk(cpu, va):
        if step.maps:
            return None if step.descriptor & AF else Unmapped(step.at, step.level)
    return None


def oversized(cpu: Hardware, va: int, ipa: int = -1) -> int | None:
    """The level at which the walk for ``va`` comes to an address of more bits than TCR_EL1.IPS
    lets it have: an address size fault, which Unicorn lacks. None where it does not.

    ``ipa`` is where Unicorn's own walk came to, -1 if to nowhere: it spares the walk here.
    """
    tcr = cpu.read_sys(sysregs.TCR_EL1)
    ips = tcr >> 32 & 7
    bits = min(_OUTPUT_BITS[min(ips, len(_OUTPUT_BITS) - 1)], cpu.model.pa_bits)
    if bits >= _BITS_OF_MEMORY and not ipa >> bits:
        return None
    if not _translates(tcr, va):
        return None
    if (cpu.read_sys(sysregs.TTBR1_EL1 if va >> 55 & 1 else sysregs.TTBR0_EL1) & _ADDRESS) >> bits:
        return 0
    for step in _walk(cpu, va):
        if step.descriptor & 1 and (step.descriptor & _ADDRESS) >> bits:
            return step.level
    return None


def misplaced(cpu: Hardware, va: int) -> bool:
    """Whether the walk for ``va`` ends at a block that is not aligned to its size: the hardware
    ignores the lower bits of its address, and Unicorn has them in all that it translates by it."""
    return any(
        step.maps and step.descriptor & _ADDRESS & (1 << step.bits) - 1 for step in _walk(cpu, va)
    )


def refuse_misplaced(cpu: Hardware, va: int, ipa: int = -1) -> None:
    """The same, which is not modelled. ``ipa`` is where Unicorn came to: it spares the walk where
    an aligned block has ``va`` there too."""
    if (ipa ^ va) & _IN_A_BLOCK and misplaced(cpu, va):
        raise NotModelled("a block of stage 1 whose address is not aligned to its size")


def translate(cpu: Hardware, va: int) -> int | None:
    """The IPA of ``va`` by stage 1, whoever may access it; None where it is not mapped.

    For hooks on accesses: there Unicorn would put what it is asked for in its TLB, maybe in place
    of the very translation that the access at hand is about to use.
    """
    if not cpu.mmu_on:
        return va
    for step in _walk(cpu, va):
        if step.maps:
            within = (1 << step.bits) - 1
            return step.descriptor & _ADDRESS & ~within | va & within
    return None
