"""LDAR and STLR: an address that is not aligned faults, which Unicorn does not do.

A hook on an instruction costs all that the guest runs, so that few can be had. A hook on the block
that an instruction stands in costs only that block. It forms the addresses beforehand, from what
the registers are there; where one is not aligned, or cannot be formed so, the instruction itself is
hooked, and its address is looked at when it is about to run. Then that hook goes again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from vcpu_scenario.machine.emulated.cpu import uc
from vcpu_scenario.machine.emulated.cpu.effects import written_by
from vcpu_scenario.machine.emulated.cpu.foresight import Block, Foresight, Unforeseen
from vcpu_scenario.machine.emulated.cpu.hardware import Hardware

_MOST: Final = 32
"""Instructions that are hooked at a time; where there would be more, all hooks are set again."""
_MOST_HOOKED: Final = 4096
"""How often the hook of an instruction goes again: to translate its block again takes time too."""
_MOST_BLOCKS: Final = 4096
"""The same of blocks."""

_NEVER_CUT: Final = 8
"""Instructions that fit into Unicorn's buffer, of 4,000 operations, whatever they are."""

HookCode: TypeAlias = Callable[[int], int]
"""Hooks the instruction at an address, and gives the hook."""


def is_ordered(word: int) -> bool:
    """LDAR, LDARH, STLR or STLRH."""
    return word & 0x3FA0_8000 == 0x0880_8000 and word >> 30 != 0


def length_of(word: int) -> int:
    """Of an ordered access, in bytes."""
    return 1 << (word >> 30)


class OrderedAccesses:
    """Those of one CPU. ``hook_code`` hooks one instruction; ``retranslate`` is called inside a
    hook with the block that is to be stopped before, and translated again with its new hooks."""

    def __init__(
        self, cpu: Hardware, hook_code: HookCode, retranslate: Callable[[int, int], None]
    ) -> None:
        self._cpu = cpu
        self._hook_code = hook_code
        self._retranslate = retranslate
        self._instructions = dict[int, int]()
        self._blocks = dict[int, int]()
        """Hooks by address."""
        self._passing = dict[int, int]()
        """How often instructions were hooked that their blocks' hooks tell of again."""
        self.passed_by = list[int]()
        """Those that ran of which no block's hook tells: up to the next entry they stay hooked."""
        self._checks = dict[int, dict[Block, tuple[int, ...]]]()
        """By the blocks' addresses, for each code that has been there: which words are such."""
        self._simple = dict[int, set[tuple[int, int]]]()
        """By the blocks' addresses: registers that are such addresses as they are there, and the
        bits that have to be clear in them. A block that has others is not here."""
        self._known = 0
        self._callback = uc.CODE_HOOK(self._on_block)
        self._unhookable = False
        """Unicorn sets no hook on the block that it translates next."""
        self.dropped = False
        """Hooks are gone that translated code still calls."""

    def inspect(self, pc: int, words: Sequence[int]) -> bool:
        """Looks at a block that was just translated; whether it has to be translated again."""
        unhookable, self._unhookable = self._unhookable, _may_be_cut(pc, words)
        found = tuple(n for n, word in enumerate(words) if is_ordered(word))
        if not found:
            return False
        new = self._hook_block(Block(pc, tuple(words)), found)
        if not unhookable or new:
            return new
        # Once more, it is not the rest of another block; but if it may be cut itself it is.
        return self._hook([pc + 4 * n for n in found]) if self._unhookable else True

    def _hook_block(self, block: Block, found: tuple[int, ...]) -> bool:
        pc = block.pc
        if self._known >= _MOST_BLOCKS:
            self.clear()
        self._known += block not in self._checks.get(pc, ())
        self._checks.setdefault(pc, {})[block] = found
        self._simplify(pc)
        if pc in self._blocks:
            return False
        engine = self._cpu.engine
        self._blocks[pc] = engine.add_hook(uc.UC_HOOK_BLOCK, self._callback, pc, pc)
        return True

    def _hook(self, addresses: Sequence[int]) -> bool:
        missing = [at for at in addresses if at not in self._instructions]
        if not missing:
            return False
        if len(self._instructions) + len(missing) > _MOST:
            self._drop(self._instructions)
            missing = list(addresses)
        for at in missing:
            self._instructions[at] = self._hook_code(at)
        return True

    def _simplify(self, pc: int) -> None:
        checks = [
            _simple_check(block, n) for block, found in self._checks[pc].items() for n in found
        ]
        self._simple.pop(pc, None)
        if None not in checks:
            self._simple[pc] = {check for check in checks if check}

    def _on_block(self, _uc: int, pc: int, size: int, _data: int) -> None:
        simple = self._simple.get(pc)  # all there is in most loops, of locks above all
        if simple is not None:
            regs = self._cpu.regs
            for register, mask in simple:
                if regs[register] & mask:
                    break
            else:
                return
        suspects = [
            pc + 4 * n
            for block, found in self._checks.get(pc, {}).items()
            for n in found
            if pc + 4 * n not in self._instructions and self._is_suspect(block, n)
        ]
        if suspects and self._hook(suspects):
            for at in suspects:
                self._passing[at] = self._passing.get(at, 0) + 1
            self._retranslate(pc, size)

    def passed(self, at: int) -> None:
        """The hooked instruction at ``at`` is about to run, and is aligned."""
        if at not in self._instructions or self._passing.get(at, 0) > _MOST_HOOKED:
            return
        if at in self._passing:
            self._cpu.engine.remove_hook(self._instructions.pop(at))
        elif at not in self.passed_by:
            self.passed_by.append(at)
            self._cpu.passed_hooks = self._cpu.unprepared = True

    def forget_passed(self) -> None:
        """Has what no block's hook tells of translated and looked at again when it comes again."""
        self._cpu.passed_hooks = False
        engine = self._cpu.engine
        for at in self.passed_by:
            if (hook := self._instructions.pop(at, None)) is not None:
                engine.remove_hook(hook)
                engine.drop_translations(at, at + 4)
        self.passed_by.clear()

    def _is_suspect(self, block: Block, n: int) -> bool:
        word = block.words[n]
        try:
            address = Foresight(self._cpu, block).register(n, word >> 5 & 31)
        except Unforeseen:
            return True
        return bool(address & length_of(word) - 1)

    def _drop(self, hooks: dict[int, int]) -> None:
        for hook in hooks.values():
            self._cpu.engine.remove_hook(hook)
        hooks.clear()
        self.dropped = True

    def clear(self) -> None:
        """Takes all hooks away."""
        self._drop(self._instructions)
        self._drop(self._blocks)
        self._checks.clear()
        self._simple.clear()
        self._passing.clear()
        self.passed_by.clear()
        self._known = 0
        self._unhookable = False


def _simple_check(block: Block, n: int) -> tuple[int, int] | None:
    """The register that the ``n``-th instruction has its address in, and the bits that have to be
    clear; None where one before it in the block writes that register."""
    word = block.words[n]
    register = word >> 5 & 31
    if any(written_by(before) >> register & 1 for before in block.words[:n]):
        return None
    return register, length_of(word) - 1


def _may_be_cut(pc: int, words: Sequence[int]) -> bool:
    """Whether Unicorn, and not the code, may have ended the block: then it takes the next one for
    its rest, and sets no hook on that. It does at the end of a page, and where its buffer is full,
    which a few instructions do not fill."""
    last = words[-1]
    if len(words) <= _NEVER_CUT and (pc + 4 * len(words)) & 0xFFF:
        return False
    if last >> 26 & 0x1F == 0b00101 or last >> 26 & 0x1F == 0b01101 or last >> 25 == 0b0101010:
        return False  # B, BL; CBZ, TBZ and so on; B.cond
    return last >> 25 != 0b1101011 and last >> 24 != 0xD4  # BR, RET, ERET; exceptions
