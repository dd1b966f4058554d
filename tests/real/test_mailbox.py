"""Two sides that share memory and take turns."""

from __future__ import annotations

import mmap

import pytest
from vcpu_scenario.machine.real.mailbox import SIZE, Mailbox


@pytest.fixture
def memory() -> mmap.mmap:
    return mmap.mmap(-1, SIZE)


def test_a_message_comes_once_and_whole(memory: mmap.mmap) -> None:
    host, guest = Mailbox(memory, host=True), Mailbox(memory, host=False)
    assert guest.receive() is None
    host.send("case", '{"text": "with spaces – and more"}')
    assert guest.receive() == ("case", '{"text": "with spaces – and more"}')
    assert guest.receive() is None


def test_both_sides_talk_in_turns(memory: mmap.mmap) -> None:
    host, guest = Mailbox(memory, host=True), Mailbox(memory, host=False)
    for number in range(3):
        guest.send("ready", str(number))
        assert host.receive() == ("ready", str(number))
        host.send("case", "x" * number)
        assert guest.receive() == ("case", "x" * number)


def test_a_shorter_message_leaves_nothing_of_a_longer_one(memory: mmap.mmap) -> None:
    host, guest = Mailbox(memory, host=True), Mailbox(memory, host=False)
    host.send("case", "long" * 100)
    guest.receive()
    host.send("quit")
    assert guest.receive() == ("quit", "")


@pytest.mark.parametrize("written", range(12))
def test_a_header_that_is_half_written_is_no_message(memory: mmap.mmap, written: int) -> None:
    host, guest = Mailbox(memory, host=True), Mailbox(memory, host=False)
    host.send("case", "one")
    header = memory[:12]
    memory[:12] = header[:written] + bytes(12 - written)
    whole = memory[:12] == header  # its last bytes may be zeros themselves
    assert (guest.receive() is not None) == whole


def test_an_empty_header_with_the_right_number_is_no_message(memory: mmap.mmap) -> None:
    guest = Mailbox(memory, host=False)
    memory[:12] = (1).to_bytes(4, "little") + bytes(8)
    assert guest.receive() is None


def test_contents_that_do_not_match_their_check_are_no_message(memory: mmap.mmap) -> None:
    host, guest = Mailbox(memory, host=True), Mailbox(memory, host=False)
    host.send("case", "one")
    memory[14] ^= 1
    assert guest.receive() is None
    memory[14] ^= 1
    assert guest.receive() == ("case", "one")


def test_a_message_that_is_too_large_is_refused(memory: mmap.mmap) -> None:
    with pytest.raises(ValueError, match="fit"):
        Mailbox(memory, host=True).send("case", "x" * SIZE)
