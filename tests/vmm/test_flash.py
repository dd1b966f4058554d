"""The NOR flash, held to its commands where no shipped scenario shows them."""

from __future__ import annotations

from typing import cast

import pytest
from vcpu_scenario.case import Device
from vcpu_scenario.ioctls.memory import SetMemoryRegion
from vcpu_scenario.machine.errors import NotModelled
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.vmm.flash import BLOCK, CfiFlash

BASE, SIZE = 0x400_0000, 2 * BLOCK


class Slot:
    """The part of a machine that a flash asks for, and of that the part that is asked."""

    def __init__(self) -> None:
        self.memory = self
        self.data = bytearray(b"\xf0" * SIZE)
        self.shown = True

    def set_region(self, asked: SetMemoryRegion) -> None:
        assert asked.slot == 3
        assert asked.size in (0, SIZE)
        assert self.shown is (asked.size == 0), "the slot is taken away once, and put back once"
        self.shown = asked.size != 0

    def read(self, ipa: int, length: int) -> bytes:
        assert self.shown
        return bytes(self.data[ipa - BASE :][:length])

    def write(self, ipa: int, data: bytes) -> None:
        assert self.shown
        self.data[ipa - BASE : ipa - BASE + len(data)] = data


@pytest.fixture
def slot() -> Slot:
    return Slot()


@pytest.fixture
def flash(slot: Slot) -> CfiFlash:
    flash = CfiFlash(Device("flash", BASE, SIZE, "cfi-flash"))
    flash.machine, flash.slot = cast(Machine, slot), 3
    return flash


def send(flash: CfiFlash, *cycles: tuple[int, int]) -> None:
    for offset, value in cycles:
        flash.write(offset, 4, value)


def test_programming_only_clears_bits(flash: CfiFlash, slot: Slot) -> None:
    send(flash, (0, 0x40), (0, 0x3C3C_3C3C), (0, 0xFF))
    assert slot.data[:5] == b"\x30\x30\x30\x30\xf0"


def test_a_block_is_erased_wherever_in_it_the_command_is(flash: CfiFlash, slot: Slot) -> None:
    send(flash, (BLOCK + 0x1234, 0x20), (BLOCK + 0x1234, 0xD0), (0, 0xFF))
    assert slot.data == b"\xf0" * BLOCK + b"\xff" * BLOCK


def test_what_is_not_confirmed_is_not_done_and_is_an_error_until_cleared(
    flash: CfiFlash, slot: Slot
) -> None:
    send(flash, (0, 0x20), (0, 0x20))
    assert flash.read(0, 4) == 0x00B0_00B0
    send(flash, (0, 0x50))
    assert flash.read(0, 4) == 0x0080_0080
    send(flash, (0, 0xFF))
    assert slot.shown
    assert slot.data == b"\xf0" * SIZE


def test_no_block_is_locked(flash: CfiFlash) -> None:
    send(flash, (0, 0x60), (0, 0x01), (0, 0x90))
    assert flash.read(8, 4) == 0


def test_each_chip_is_read_by_itself_too(flash: CfiFlash) -> None:
    send(flash, (0, 0x98))
    assert [flash.read(0x40, 2), flash.read(0x42, 2), flash.read(0x44, 1)] == [0x51, 0x51, 0x52]


def test_a_command_that_it_does_not_know_is_not_modelled(flash: CfiFlash) -> None:
    with pytest.raises(NotModelled, match="command 0xc0 of a CFI flash"):
        send(flash, (0, 0x00C0_00C0))


def test_what_lies_behind_its_end_is_not_programmed(flash: CfiFlash, slot: Slot) -> None:
    send(flash, (0, 0x40))
    flash.write(SIZE - 4, 8, 0)
    send(flash, (0, 0xFF))
    assert slot.data == b"\xf0" * (SIZE - 4) + bytes(4)
    assert flash.read(SIZE - 4, 8) == 0


def test_a_word_is_programmed_across_a_page_and_in_what_was_erased(
    flash: CfiFlash, slot: Slot
) -> None:
    send(flash, (0, 0x20), (0, 0xD0), (0, 0x40), (0xFFE, 0x1234_5678), (0, 0xFF))
    assert slot.data[0xFFC:0x1004] == b"\xff\xff\x78\x56\x34\x12\xff\xff"


def test_what_is_programmed_again_and_again_takes_no_more_memory(flash: CfiFlash) -> None:
    for n in range(3 * 4096):
        send(flash, (0, 0x40), (n % 64 * 4, n), (0, 0x20), (0, 0xD0))
    assert len(flash._changed) == BLOCK // 4096
