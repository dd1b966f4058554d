"""The CPU's self-hosted debug registers: breakpoints in Unicorn, watchpoints beside it.

Unicorn arms DBGBVR/DBGBCR only when the guest writes them, so a trampoline of MSR instructions
writes them at EL1 with traps off. Its watchpoints are stubs: accesses near a watched range are
hooked, and the access that hits is undone from a context saved before its effect. What the same
instruction wrote before that, to the first half of a pair, stays, as on the recorded CPU.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from ctypes import c_uint64, c_void_p
from functools import cache
from typing import Final

from msgspec import Struct

from vcpu_scenario.arm64 import esr, sysregs
from vcpu_scenario.machine.emulated.cpu import decode, matching, uc
from vcpu_scenario.machine.emulated.cpu.controls import HCR_TVM
from vcpu_scenario.machine.emulated.cpu.debugregisters import BREAKPOINTS, DebugRegisters
from vcpu_scenario.machine.emulated.cpu.hardware import Hardware
from vcpu_scenario.machine.emulated.cpu.walk import translate

_LINKED: Final = 1 << 20
_TRAMPOLINE: Final = 1 << 40
"""Behind the guest's physical address space: no memslot can be there."""
_PA_RANGE, _PA_OF_48_BITS = 0xF, 5
_MSR_DEBUG: Final = 0xD5100000
_HVC: Final = 0xD4000002
_EL1H_MASKED: Final = 0x3C5
_LARGEST_ACCESS: Final = 64


class _Watch(Struct, frozen=True):
    """An enabled watchpoint: [start, end), its load and store bits, its EL filter, and the
    breakpoint that it is linked to."""

    start: int
    end: int
    lsc: int
    pac: int
    linked: int | None


class _Hit(Struct):
    """An access that hit: its address there, and what it overwrote."""

    far: int
    is_write: bool
    undo: list[tuple[int, bytes]]


class DebugUnit:
    """Breakpoints and watchpoints of one CPU."""

    def __init__(self, cpu: Hardware) -> None:
        self._cpu = cpu
        self._loaded = DebugRegisters()
        self._watches: tuple[_Watch, ...] = ()
        self.watches = False
        """Some watchpoint is enabled."""
        self._hook: int | None = None
        self._hooks_all = False
        self._callback = uc.MEM_HOOK(self._on_access)
        self._saved = c_void_p()
        self.watch_hit: _Hit | None = None

    def load(self, registers: DebugRegisters) -> None:
        """Makes ``registers`` the CPU's own."""
        if registers is self._loaded or registers == self._loaded:
            return
        if registers.breakpoints != self._loaded.breakpoints:
            self.write_breakpoints(registers)
        if (registers.wcr, registers.wvr) != (self._loaded.wcr, self._loaded.wvr):
            self._watches = _watches(registers)
            self.watches = bool(self._watches)
            self._cpu.trap_dc_zva()
            self._hook_accesses()
        self._loaded = registers

    # -- breakpoints -------------------------------------------------------------------------

    def write_breakpoints(self, registers: DebugRegisters) -> None:
        cpu, engine = self._cpu, self._cpu.engine
        pairs = zip(registers.bvr, registers.bcr, strict=True)
        values = [v for bvr, bcr in pairs for v in (bvr, 0 if _never_matches(bvr, bcr) else bcr)]
        features = cpu.memory_features.value
        cpu.memory_features.value = features & ~_PA_RANGE | _PA_OF_48_BITS
        pstate, mdcr, mdscr = cpu.pstate, cpu.mdcr, cpu.mdscr
        sctlr = cpu.sctlr_el1.value
        page = _trampoline_page()
        engine.map_ptr(_TRAMPOLINE, 4096, uc.UC_PROT_ALL, page.address)
        cpu.set_mdcr(0)
        cpu.set_mdscr(0)
        cpu.write_sys(sysregs.SCTLR_EL1, sctlr & ~1)
        cpu.pstate = _EL1H_MASKED
        regs = cpu.regs[:]
        cpu.regs[: len(values)] = [*values]
        engine.run(_TRAMPOLINE, len(values) + 1)
        cpu.regs[:] = [*regs]
        engine.unmap(_TRAMPOLINE, 4096)
        cpu.memory_features.value = features
        cpu.write_sys(sysregs.SCTLR_EL1, sctlr)
        cpu.pstate = pstate
        cpu.set_mdcr(mdcr)
        cpu.set_mdscr(mdscr)

    @property
    def breaks(self) -> bool:
        """Whether a breakpoint is hit at pc."""
        return matching.breaks(self._cpu, self._loaded)

    # -- watchpoints -------------------------------------------------------------------------

    def hit_at(self, va: int, length: int, *, is_write: bool) -> int | None:
        watch = self._hit_by(va, length, is_write)
        return None if watch is None else max(va, watch.start)

    def report_hit(self, far: int, *, is_write: bool) -> int | None:
        """The exception for an access that was caught before it took effect."""
        return self._raise(far, is_write)

    def _hit_by(self, va: int, length: int, is_write: bool) -> _Watch | None:
        cpu = self._cpu
        if not self._watches or not matching.takes_debug_exceptions(cpu):
            return None
        # LDTR and STTR too: on the recorded CPU they are not EL0's here.
        level = 1 if cpu.current_el else 2
        kind = 2 if is_write else 1
        for watch in self._watches:
            if not (watch.lsc & kind and va < watch.end and watch.start < va + length):
                continue
            if watch.pac & level and self._linked_matches(watch.linked):
                return watch
        return None

    def _linked_matches(self, linked: int | None) -> bool:
        """Whether the breakpoint that a watchpoint is linked to is for the context that runs."""
        if linked is None:
            return True
        return matching.linked_matches(self._cpu, self._loaded, linked)

    def _hook_accesses(self) -> None:
        engine = self._cpu.engine
        if self._hook is not None:
            engine.remove_hook(self._hook)
            self._hook = None
        self._hooks_all = self._may_translate
        if self._watches:
            begin = min(watch.start for watch in self._watches) - _LARGEST_ACCESS
            end = max(watch.end for watch in self._watches)
            if self._hooks_all:  # the range is one of physical addresses, which can be any
                begin, end = 1, 0
            kinds = uc.UC_HOOK_MEM_READ | uc.UC_HOOK_MEM_WRITE
            self._hook = engine.add_hook(kinds, self._callback, max(begin, 0), end)
        # A hook added after translation is missed by what was translated before.
        engine.flush_translations()

    @property
    def _may_translate(self) -> bool:
        """Stage 1 is on, or comes on without a trap that would tell."""
        return self._cpu.mmu_on or not self._cpu.hcr & HCR_TVM

    def translation_changed(self) -> None:
        """Stage 1 may have been turned on or off."""
        if self._watches and self._may_translate is not self._hooks_all:
            self._hook_accesses()

    def _on_access(self, _uc: int, kind: int, ipa: int, size: int, _value: int, _data: int) -> None:
        cpu = self._cpu
        is_write = kind == uc.UC_MEM_WRITE
        slot = cpu.stage2.slot_at(ipa)
        if slot is None or not (slot.writes(ipa) if is_write else slot.maps(ipa)):
            return  # the stage-2 abort comes first
        undo = [(ipa, cpu.stage2.read(ipa, size) or b"")] if is_write else []
        if self.watch_hit is not None:
            self.watch_hit.undo.extend(undo)
            return
        engine = cpu.engine
        va = self._virtual(ipa)
        watch = self._hit_by(va, size, is_write)
        if watch is None:
            return
        if not self._saved.value:
            self._saved = engine.new_context()
        uc.uc_context_save(engine.handle, self._saved)
        self.watch_hit = _Hit(_far(watch, va, size, is_write=is_write), is_write, undo)
        uc.uc_emu_stop(engine.handle)

    def _virtual(self, ipa: int) -> int:
        cpu = self._cpu
        if not cpu.mmu_on:
            return ipa
        access = self._access()
        if access is None:
            return ipa
        # Parts of one access come with their own physical address; the offset tells which.
        return access.address + ((ipa - access.address) & 0xFFF)

    def _access(self) -> decode.Access | None:
        """What the instruction at pc accesses."""
        cpu = self._cpu
        ipa = translate(cpu, cpu.pc)
        return None if ipa is None else decode.access_of(cpu.stage2.word(ipa), cpu.pc, cpu.x)

    def hit_was_before(self, fault: int) -> bool:
        """Whether the load that hit went on to a page that is not there: the recorded CPU makes
        two of it. For a store it looks for both pages first."""
        hit = self.watch_hit
        return hit is not None and not hit.is_write and not fault & 0xFFF and hit.far & 0xFFF != 0

    def forget_hit(self) -> None:
        """The access that hit did not come to an end: what it met on the way comes first."""
        self.watch_hit = None

    def watchpoint_exit(self) -> int | None:
        """Undoes the instruction that hit and raises its exception."""
        hit, self.watch_hit = self.watch_hit, None
        assert hit is not None
        cpu, engine = self._cpu, self._cpu.engine
        uc.uc_context_restore(engine.handle, self._saved)
        for ipa, data in reversed(hit.undo):
            cpu.stage2.write(ipa, data)
        cpu.reassert_hcr()
        return self._raise(hit.far, hit.is_write)

    def _raise(self, far: int, is_write: bool) -> int | None:
        cpu = self._cpu
        syndrome = esr.IL | 0x22 | is_write * decode.WNR
        cpu.far = far
        if cpu.mdcr & 1 << 8:
            cpu.hsr = esr.EC_WATCHPT_LOW << esr.EC_SHIFT | syndrome
            return esr.EC_WATCHPT_LOW
        same_el = cpu.current_el
        cpu.take_to_el1((esr.EC_WATCHPT_LOW + same_el) << esr.EC_SHIFT | syndrome, far)
        return None


def _far(watch: _Watch, va: int, size: int, *, is_write: bool) -> int:
    """FAR of a hit. Of an access that is not aligned the recorded CPU makes two loads that are;
    for a store it tells where the watchpoint begins."""
    if va % size:
        va = watch.start if is_write else va - va % size
    return max(va, watch.start)


def _never_matches(value: int, control: int) -> bool:
    """Whether a breakpoint is at an address that no instruction has: the recorded CPU compares
    DBGBVR_EL1[63:49] as well, of which Unicorn makes copies of bit 48."""
    return control >> 20 & 15 <= matching.LINKED_ADDRESS and value >> 48 not in (0, (1 << 16) - 1)


def _watches(registers: DebugRegisters) -> tuple[_Watch, ...]:
    enabled = [
        (control, value)
        for control, value in zip(registers.wcr, registers.wvr, strict=True)
        if control & 1 and control >> 14 & 3 != matching.SECURE_ONLY
    ]
    # KVM writes the registers from the last to the first, and the recorded CPU looks at its
    # watchpoints in the order in which they were written.
    return tuple(_watch(control, value) for control, value in reversed(enabled))


def _watch(control: int, value: int) -> _Watch:
    """Arm ARM D17.3.11: an address mask, or the contiguous run of selected bytes."""
    linked = control >> 16 & 15 if control & _LINKED else None
    lsc, pac = control >> 3 & 3, control >> 1 & 3
    if mask := control >> 24 & 0x1F:
        start = value & ~((1 << mask) - 1)
        return _Watch(start, start + (1 << mask), lsc, pac, linked)
    # An address that is a word's and no doubleword's has four bytes to select.
    select = control >> 5 & (0xF if value & 4 else 0xFF)
    base = value & ~3
    if not select:
        return _Watch(base, base, lsc, pac, linked)
    first = (select & -select).bit_length() - 1
    length = (~(select >> first) & 0x1FF & -(~(select >> first) & 0x1FF)).bit_length() - 1
    return _Watch(base + first, base + first + length, lsc, pac, linked)


class _Page(Struct, frozen=True):
    memory: mmap.mmap
    address: int


@cache
def _trampoline_page() -> _Page:
    words = []
    for n in range(BREAKPOINTS):
        words.append(_MSR_DEBUG | n << 8 | 4 << 5 | 2 * n)
        words.append(_MSR_DEBUG | n << 8 | 5 << 5 | 2 * n + 1)
    words.append(_HVC)
    memory = mmap.mmap(-1, 4096)
    memory[: 4 * len(words)] = struct.pack(f"<{len(words)}I", *words)
    return _Page(memory, ctypes.addressof(c_uint64.from_buffer(memory)))
