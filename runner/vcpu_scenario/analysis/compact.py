"""A case without its NOPs: what comes after moves up, and whatever points there follows."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from vcpu_scenario.arm64.branches import RELATIVE, signed
from vcpu_scenario.case import Action, Case, Load, SetRegister, WriteMemory
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetGuestDebug

_NOP: Final = 0xD503_201F

Move = Callable[[int], int]
"""Where an address is, once the NOPs are gone."""


def without_nops(case: Case) -> Case:
    """``case`` with the NOPs of its first load taken out; itself where there are none.

    Direct branches, ADR and literal loads are made to lead where they led; breakpoints and what
    actions write go along. What finds its way by other means may not: try it.
    """
    code, *others = case.loads
    words = list(struct.unpack(f"<{len(code.data) // 4}I", code.data[: len(code.data) & ~3]))
    kept = [n for n, word in enumerate(words) if word != _NOP]
    if len(kept) in (0, len(words)):
        return case
    move = _move(code.addr, words, kept)
    moved = [_redirect(words[n], code.addr + 4 * n, move) for n in kept]
    if None in moved:
        return case
    data = struct.pack(f"<{len(moved)}I", *moved) + code.data[len(code.data) & ~3 :]
    return replace(
        case,
        loads=(Load(code.addr, data), *others),
        regs=tuple((name, move(value)) for name, value in case.regs),
        debug=None if case.debug is None else _debug(case.debug, move),
        before=tuple(_action(action, move) for action in case.before),
        on=tuple((n, tuple(_action(a, move) for a in actions)) for n, actions in case.on),
    )


def _move(base: int, words: Sequence[int], kept: Sequence[int]) -> Move:
    """A NOP that is gone is where the next word is that stays."""
    places = []
    following = 0
    for number in range(len(words)):
        places.append(base + 4 * following)
        if following < len(kept) and kept[following] == number:
            following += 1
    places.append(base + 4 * len(kept))

    def move(addr: int) -> int:
        number, rest = divmod(addr - base, 4)
        return places[number] + rest if 0 <= number < len(places) else addr

    return move


def _debug(debug: GuestDebug, move: Move) -> GuestDebug:
    return replace(debug, hw_bp=tuple(map(move, debug.hw_bp)))


def _action(action: Action, move: Move) -> Action:
    if isinstance(action, SetGuestDebug):
        return SetGuestDebug(_debug(action.debug, move))
    if isinstance(action, SetRegister):
        return SetRegister(action.reg, move(action.value))
    if isinstance(action, WriteMemory):
        return replace(action, addr=move(action.addr))
    return action


# -- instructions that say where in relation to pc (Arm ARM, C4.1) ---------------------------------


def _redirect(word: int, addr: int, move: Move) -> int | None:
    """``word`` for where it will be; None where its field is too narrow for that."""
    for is_kind, low, bits, scale in RELATIVE:
        if is_kind(word):
            offset = signed(word >> low, bits) * scale
            return _with(word, move(addr + offset) - move(addr), low, bits, scale)
    if word >> 24 & 0x9F == 0x10:  # ADR: its two lowest bits are elsewhere
        offset = signed((word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3, 21)
        new = move(addr + offset) - move(addr)
        return word & 0x9F00001F | (new & 3) << 29 | (new >> 2 & 0x7FFFF) << 5
    return word


def _with(word: int, offset: int, low: int, bits: int, scale: int) -> int | None:
    if offset % scale or not -(1 << bits - 1) <= offset // scale < 1 << bits - 1:
        return None
    mask = (1 << bits) - 1
    return word & ~(mask << low) | (offset // scale & mask) << low
