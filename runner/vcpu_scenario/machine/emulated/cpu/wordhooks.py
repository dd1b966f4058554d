"""Instructions that Unicorn would run and must not: it is stopped before them.

With CPACR_EL1.FPEN clear, as it is at reset, SIMD&FP traps to EL1 (EC 0x07), which Unicorn does
not do; DCZID_EL0 would show the trap on DC ZVA that is this machine's own; and LDAR and STLR of an
address that is not aligned fault, ahead of any translation. Words that are such an instruction are
found when the VMM writes them, and code hooks stop before them.
"""

from __future__ import annotations

import re
from typing import Final

from vcpu_scenario.arm64 import esr, sysregs
from vcpu_scenario.machine.emulated.cpu import decode, uc
from vcpu_scenario.machine.emulated.cpu.allocated import is_allocated
from vcpu_scenario.machine.emulated.cpu.hardware import Hardware
from vcpu_scenario.machine.emulated.cpu.walk import oversized

_EC_FP_ASIMD: Final = 0x07
_TRAPPED: Final = _EC_FP_ASIMD << esr.EC_SHIFT | esr.IL | 0x1E0_0000
_PAR_F: Final = 1
_PAR_RES1: Final = 1 << 11
_DCZID_64_BYTES: Final = 4
_DZP: Final = 1 << 4
"""DC ZVA is prohibited."""
_SCTLR_DZE: Final = 1 << 14


def _is_simd_top(top: int) -> bool:
    """Bits 28:25 of a word: x111 is SIMD&FP data processing; loads and stores (x1x0) are SIMD
    where bit 26 is set. With bit 31 set the former are conversions to and from x registers, and
    else nothing that a Cortex-A57 has."""
    if top >> 1 & 7 == 7:
        return top < 0x80 or top == 0x9E
    return top >> 1 & 5 == 4 and bool(top >> 2 & 1)


def _is_simd(word: int) -> bool:
    """SIMD&FP, or an access to FPCR or FPSR."""
    return _is_simd_top(word >> 24) or word & 0xFFDF_FFC0 == 0xD51B_4400


def _reads_dczid(word: int) -> bool:
    return word & 0xFFFF_FFE0 == 0xD53B_00E0


def _translates(word: int) -> bool:
    """AT of stage 1."""
    return word & 0xFFFF_FF80 == 0xD508_7800


def _is_ordered(word: int) -> bool:
    """LDAR, LDARH, STLR or STLRH."""
    return word & 0x3FA0_8000 == 0x0880_8000 and word >> 30 != 0


def _length(word: int) -> int:
    """Of an ordered access, in bytes."""
    return 1 << (word >> 30)


# The top byte tells most, so that memory is searched by its every fourth byte.
_SIMD_RUN: Final = re.compile(
    b"[" + b"".join(re.escape(bytes([top])) for top in range(256) if _is_simd_top(top)) + b"]+"
)
_SYSTEM_WORD: Final = re.compile(
    rb"[\xe0-\xff]\x00\x3b\xd5"  # MRS of DCZID_EL0
    rb"|[\x00-\x3f]\x44[\x1b\x3b]\xd5"  # MSR or MRS of FPCR or FPSR
    rb"|[\x00-\x7f]\x78\x08\xd5",  # AT S1E1R, S1E1W, S1E0R, S1E0W
    re.DOTALL,
)
"""These whole: code is full of others that begin like them."""
_ORDERED_TOP: Final = re.compile(rb"[\x48\x88\xc8]")

_MOST_RANGES: Final = 64
"""Hooks for the bytes of one write. Unicorn looks through all of them at each instruction that it
translates, and data is full of words that could be some instruction: then hooks cover more."""

_MOST_HOOKS: Final = 1024
"""Hooks of one CPU; where there would be more, a single one covers all."""

Range = tuple[int, int]
"""The first and the last word."""


def _ranges(address: int, data: bytes) -> list[Range]:
    """Where in ``data`` the hooks have to be, few enough."""
    tops = data[3::4]
    found = [
        (address + 4 * match.start(), address + 4 * match.end() - 4)
        for match in _SIMD_RUN.finditer(tops)
    ]
    for match in _SYSTEM_WORD.finditer(data):
        if not match.start() & 3:
            at = address + match.start()
            found.append((at, at))
    for match in _ORDERED_TOP.finditer(tops):
        at = 4 * match.start()
        if _is_ordered(int.from_bytes(data[at : at + 4], "little")):
            found.append((address + at, address + at))
    found.sort()
    gap = 4
    while len(found) > _MOST_RANGES:
        gap *= 4
        found = _joined(found, gap)
    return found


def _joined(ranges: list[Range], gap: int) -> list[Range]:
    """Those that lie no further apart than ``gap`` as one."""
    joined = ranges[:1]
    for first, last in ranges[1:]:
        if first - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined


class WordHooks:
    """The hooks of one CPU."""

    def __init__(self, cpu: Hardware) -> None:
        self._cpu = cpu
        self._hooks = dict[Range, int]()
        self._callback = uc.CODE_HOOK(self._on_instruction)
        self._stopped_before = 0
        self._misaligned: int | None = None
        """The address for which it was, if it was for that."""
        self._on_any = uc.CODE_HOOK(self._on_any_instruction)
        self._every: int | None = None
        """The hook on each instruction, while alignment is checked."""

    @property
    def alignment_checked(self) -> bool:
        """SCTLR_EL1.A, as far as it is acted on."""
        return self._every is not None

    def check_alignment(self, checked: bool) -> None:
        """Unicorn knows nothing of SCTLR_EL1.A: each load and store is looked at then."""
        if checked == self.alignment_checked:
            return
        engine = self._cpu.engine
        if self._every is None:
            self._every = engine.add_hook(uc.UC_HOOK_CODE, self._on_any)
        else:
            engine.remove_hook(self._every)
            self._every = None
        engine.flush_translations()

    @property
    def hit(self) -> bool:
        """A hook stopped the CPU."""
        return self._stopped_before != 0

    def scan(self, address: int, data: bytes) -> None:
        """Hooks what has to be among the words of ``data`` at ``address``, a multiple of 4."""
        new = [found for found in _ranges(address, data) if not self._covers(*found)]
        if not new:
            return
        engine = self._cpu.engine
        if len(self._hooks) + len(new) > _MOST_HOOKS:
            every = [*self._hooks, *new]
            self._remove()
            new = [(min(first for first, _ in every), max(last for _, last in every))]
        for first, last in new:
            self._hooks[first, last] = engine.add_hook(uc.UC_HOOK_CODE, self._callback, first, last)
        engine.flush_translations()

    def _covers(self, first: int, last: int) -> bool:
        return any(low <= first and last <= high for low, high in self._hooks)

    def _remove(self) -> None:
        for hook in self._hooks.values():
            self._cpu.engine.remove_hook(hook)
        self._hooks.clear()

    def clear(self) -> None:
        """Takes all hooks away."""
        self._remove()
        self.check_alignment(checked=False)
        self._stopped_before = 0

    def _on_any_instruction(self, _uc: int, _address: int, _size: int, _data: int) -> None:
        cpu = self._cpu
        word = cpu.word_at_pc()
        multiple = decode.aligned_to(word)
        if multiple == 1 or self._stopped_before:
            return
        access = decode.access_of(word, cpu.pc, cpu.x)
        if access is None or not access.address & multiple - 1:
            return
        if not _is_simd(word) or self._simd_enabled():
            self._stopped_before, self._misaligned = word, access.address
            uc.uc_emu_stop(cpu.engine.handle)

    def _on_instruction(self, _uc: int, _address: int, _size: int, _data: int) -> None:
        cpu = self._cpu
        word = cpu.word_at_pc()
        if _is_ordered(word):
            address = cpu.x(word >> 5 & 31)
            stops = bool(address & _length(word) - 1)
            self._misaligned = address if stops else None
        elif _translates(word):
            stops = bool(cpu.current_el) and self._oversized(word) is not None
        else:
            stops = _reads_dczid(word) or (_is_simd(word) and not self._simd_enabled())
        if stops:
            self._stopped_before = word
            uc.uc_emu_stop(cpu.engine.handle)

    def _oversized(self, word: int) -> int | None:
        """The level of the address size fault that AT finds, if it finds one."""
        cpu = self._cpu
        return oversized(cpu, cpu.x_or_zero(word & 31)) if cpu.mmu_on else None

    def _simd_enabled(self) -> bool:
        fpen = self._cpu.read_sys(sysregs.CPACR_EL1) >> 20 & 3
        return fpen == 3 or (fpen == 1 and self._cpu.current_el == 1)

    def take(self) -> int | None:
        """Does what the hardware does with the instruction that the CPU was stopped before."""
        word, self._stopped_before = self._stopped_before, 0
        if _reads_dczid(word):
            prohibited = not self._cpu.current_el and not self._cpu.sctlr_el1.value & _SCTLR_DZE
            self._cpu.set_x(word & 31, _DCZID_64_BYTES | (_DZP if prohibited else 0))
            return self._cpu.finish_natively()
        if _translates(word):
            level = self._oversized(word) or 0
            self._cpu.write_sys(sysregs.PAR_EL1, _PAR_RES1 | level << 1 | _PAR_F)
            return self._cpu.finish_natively()
        if (misaligned := self._misaligned) is not None:
            self._misaligned = None
            syndrome = esr.alignment_fault(self._cpu.current_el, is_write=decode.is_store(word))
            self._cpu.take_to_el1(syndrome, misaligned)
        else:
            trapped = not _is_simd_top(word >> 24) or is_allocated(word)
            self._cpu.take_to_el1(_TRAPPED if trapped else esr.IL)
        return None
