"""Instructions that Unicorn would run and must not: it is stopped before them.

With CPACR_EL1.FPEN clear, as it is at reset, SIMD&FP traps to EL1 (EC 0x07), which Unicorn does
not do; LDAR and STLR of an address that is not aligned fault, ahead of any translation; and AT may
find an address too large. Such instructions are found when Unicorn translates them, and code hooks
stop before them: before SIMD only where it traps.
"""

from __future__ import annotations

import re
import struct
from itertools import count
from typing import Final

from vcpu_scenario.arm64 import esr, sysregs
from vcpu_scenario.machine.emulated.cpu import addresstranslation, decode, illegal, uc
from vcpu_scenario.machine.emulated.cpu.allocated import is_allocated
from vcpu_scenario.machine.emulated.cpu.hardware import Hardware
from vcpu_scenario.machine.emulated.cpu.native import check_half_precision, read_cache_register
from vcpu_scenario.machine.emulated.cpu.ordered import OrderedAccesses, is_ordered, length_of
from vcpu_scenario.machine.emulated.cpu.sysreghook import RegisterHooks

_EC_FP_ASIMD: Final = 0x07
_TRAPPED: Final = _EC_FP_ASIMD << esr.EC_SHIFT | esr.IL | 0x1E0_0000


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


_IS_READ: Final = 1 << 21
_SYSTEM: Final = 0x1F_FFE0
"""Which system register or operation it is."""


def _system(op0: int, op1: int, crn: int, crm: int, op2: int) -> int:
    return op0 << 19 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5


_BEYOND_ARMV8_2: Final = frozenset(
    _system(*encoding)
    for encoding in (
        *(sysregs.RNDR, sysregs.RNDRRS, sysregs.ZCR_EL1, sysregs.DC_CVADP),
        *(sysregs.APIAKEYLO_EL1, sysregs.APIAKEYHI_EL1),
        *(sysregs.APIBKEYLO_EL1, sysregs.APIBKEYHI_EL1),
        *(sysregs.APDAKEYLO_EL1, sysregs.APDAKEYHI_EL1),
        *(sysregs.APDBKEYLO_EL1, sysregs.APDBKEYHI_EL1),
        *(sysregs.APGAKEYLO_EL1, sysregs.APGAKEYHI_EL1),
    )
)
"""What Unicorn's largest CPU has whatever its ID registers say."""
_OF_THE_CACHES: Final = frozenset({_system(*sysregs.CLIDR_EL1), _system(*sysregs.CCSIDR_EL1)})
"""Where it shows those of a Cortex-A57."""
_HOOKED: Final = _BEYOND_ARMV8_2 | _OF_THE_CACHES


def _is_beyond(word: int) -> bool:
    """An access to what a CPU of Armv8.2 has not, or has in another way."""
    return word >> 22 == 0xD50 >> 2 and word & _SYSTEM in _HOOKED


# The top byte tells most, so that code is searched by its every fourth byte.
_NOTABLE: Final = re.compile(
    b"["
    + b"".join(re.escape(bytes([top])) for top in range(256) if _is_simd_top(top))
    + rb"\x48\x88\xc8\xd5]"  # LDAR and STLR, and system instructions
)
_MOST_SIMD: Final = 64
"""Where there would be more hooks of SIMD, they are taken away and set again as code runs."""
_MOST_RETURNS: Final = 32
"""The same of ERET."""
_MOST_TRANSLATING: Final = 32
"""The same of AT. Each slows down all that the guest runs."""


class WordHooks:
    """The hooks of one CPU."""

    def __init__(self, cpu: Hardware, registers: RegisterHooks) -> None:
        self._cpu = cpu
        self._registers = registers
        self._simd = dict[int, int]()
        self._shared = False
        """Code is run in turn by vCPUs that have SIMD on and off: it is hooked for both."""
        self._translating = dict[int, int]()
        self._beyond = dict[int, int]()
        self._returns = dict[int, int]()
        """All by the addresses of their instructions."""
        self._watches_returns = False
        """Whether an ERET may be illegal: no guest pays for it that does not write SPSR_EL1."""
        self.ordered: Final = OrderedAccesses(cpu, self._add, self._stop_before)
        self.hooked: tuple[int, int] | None = None
        """Code that was translated before its hooks were set, for which the CPU was stopped."""
        self._all_stale = False
        self._callback = uc.CODE_HOOK(self._on_instruction)
        self._stopped_before = 0
        self._misaligned: int | None = None
        """The address for which it was, if it was for that."""
        self._on_any = uc.CODE_HOOK(self._on_any_instruction)
        self._every: int | None = None
        """The hook on each instruction, while alignment is checked."""

    # -- finding words -----------------------------------------------------------------------

    def inspect(self, pc: int, size: int) -> None:
        """Looks through code that was just translated. Where it has instructions to be hooked they
        are, and the CPU is stopped before it runs what has no hooks yet."""
        cpu = self._cpu
        ipa = cpu.engine.translate(pc, uc.UC_PROT_EXEC) if cpu.mmu_on else pc
        code = None if ipa is None else cpu.stage2.read_code(ipa, size)
        if not code:
            return
        notable = _NOTABLE.search(code[3::4]) is not None
        words = [word for (word,) in struct.iter_unpack("<I", code if notable else code[-4:])]
        new = self.ordered.inspect(pc, words)
        if self._watches_returns and illegal.is_return(words[-1]):
            new |= self._hook(self._returns, _MOST_RETURNS, pc + size - 4)
        if not notable:
            if new:
                self._stop_before(pc, size)
            return
        trapping = self._shared or not self._simd_enabled()
        for address, word in zip(count(pc, 4), words):
            if addresstranslation.is_at(self._cpu.model, word):
                new |= self._hook(self._translating, _MOST_TRANSLATING, address)
            elif _is_beyond(word):
                new |= self._hook_beyond(address)
            elif _is_simd(word):
                if trapping:
                    self._shared &= len(self._simd) < _MOST_SIMD
                    new |= self._hook(self._simd, _MOST_SIMD, address)
                    trapping = False  # it does at this one, and none behind is run
            else:
                new |= self._registers.hook(address, word)
                if illegal.writes_spsr(word) and not self._watches_returns:
                    self.watch_returns()
                    new = True
        if new:
            self._stop_before(pc, size)

    def watch_returns(self) -> None:
        """From now on. What was translated before is, again, since it may have an ERET."""
        self._all_stale |= not self._watches_returns
        self._watches_returns = True

    def _stop_before(self, pc: int, size: int) -> None:
        """Stops the CPU for a block to be translated again."""
        self.hooked = pc, pc + size
        uc.uc_emu_stop(self._cpu.engine.handle)

    def _hook_beyond(self, address: int) -> bool:
        if not self._cpu.model.armv8_2 or address in self._beyond:
            return False
        self._beyond[address] = self._add(address)
        return True

    def _hook(self, hooks: dict[int, int], most: int, address: int) -> bool:
        if address in hooks:
            return False
        if len(hooks) >= most:
            self._remove(hooks)
        hooks[address] = self._add(address)
        return True

    def _add(self, address: int) -> int:
        return self._cpu.engine.add_hook(uc.UC_HOOK_CODE, self._callback, address, address)

    def _remove(self, hooks: dict[int, int]) -> None:
        for hook in hooks.values():
            self._cpu.engine.remove_hook(hook)
        hooks.clear()
        self._all_stale = True

    def translate_anew(self) -> None:
        """Drops what was translated before its hooks were set, or taken away."""
        engine = self._cpu.engine
        if self._all_stale or self.ordered.dropped:
            engine.flush_translations()
        elif self.hooked is not None:
            engine.drop_translations(*self.hooked)
        self.hooked, self._all_stale, self.ordered.dropped = None, False, False

    def simd_changed(self) -> None:
        """CPACR_EL1.FPEN is another: other words trap."""
        self._shared = False
        self._remove(self._simd)
        self.translate_anew()

    def simd_changed_by_turn(self) -> None:
        """It is another vCPU's turn. From now on code has the hooks for either."""
        if not self._shared:
            self.simd_changed()
            self._shared = True

    def clear(self) -> None:
        """Takes all hooks away."""
        self._shared = False
        self._remove(self._simd)
        self._remove(self._translating)
        self._remove(self._beyond)
        self._remove(self._returns)
        self.ordered.clear()
        self.check_alignment(checked=False)
        self._stopped_before, self._watches_returns = 0, False
        self.translate_anew()

    # -- what they do ------------------------------------------------------------------------

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

    def _on_instruction(self, _uc: int, at: int, _size: int, _data: int) -> None:
        cpu = self._cpu
        word = cpu.word_at_pc()
        if is_ordered(word):
            address = cpu.x(word >> 5 & 31)
            stops = bool(address & length_of(word) - 1)
            self._misaligned = address if stops else None
            if not stops:
                self.ordered.passed(at)
        elif illegal.is_return(word):
            stops = illegal.returns_illegally(cpu)
        elif addresstranslation.is_at(cpu.model, word):
            stops = bool(cpu.current_el) and addresstranslation.fault(cpu, word) is not None
        else:
            stops = _is_beyond(word) or (_is_simd(word) and not self._simd_enabled())
        if stops:
            self._stopped_before = word
            uc.uc_emu_stop(cpu.engine.handle)

    def _simd_enabled(self) -> bool:
        fpen = self._cpu.read_sys(sysregs.CPACR_EL1) >> 20 & 3
        return fpen == 3 or (fpen == 1 and self._cpu.current_el == 1)

    def take(self) -> int | None:
        """Does what the hardware does with the instruction that the CPU was stopped before."""
        word, self._stopped_before = self._stopped_before, 0
        if illegal.is_return(word):
            return illegal.return_(self._cpu)
        if addresstranslation.is_at(self._cpu.model, word):
            return addresstranslation.finish(self._cpu, word)
        if _is_beyond(word):
            if word & _SYSTEM in _OF_THE_CACHES and self._cpu.current_el and word & _IS_READ:
                return read_cache_register(self._cpu, word)
            self._cpu.take_to_el1(esr.IL)
            return None
        if (misaligned := self._misaligned) is not None:
            self._misaligned = None
            syndrome = esr.alignment_fault(self._cpu.current_el, is_write=decode.is_store(word))
            self._cpu.take_to_el1(syndrome, misaligned)
        else:
            trapped = not _is_simd_top(word >> 24) or is_allocated(word, self._cpu.model.name)
            if not trapped:
                check_half_precision(self._cpu, word)
            self._cpu.take_to_el1(_TRAPPED if trapped else esr.IL)
        return None
