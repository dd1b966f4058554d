"""A userfaultfd puts back what it is asked for, beside a thread that waits for it."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator

import pytest
from vcpu_scenario.machine.errors import Lacking
from vcpu_scenario.machine.real import mappings
from vcpu_scenario.machine.real.userfaults import Userfaults

PAGE = 4096
MEMORY = b"a" * PAGE + b"b" * PAGE + b"c" * PAGE


@pytest.fixture
def missing() -> Iterator[tuple[int, Userfaults]]:
    """Memory that is not there, by its address."""
    pages = mmap.mmap(-1, len(MEMORY), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages[:] = MEMORY
    address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    try:
        faults = Userfaults(address, len(MEMORY))
    except Lacking as lacking:
        pytest.skip(str(lacking))
    mappings.discard(address, len(MEMORY))
    yield address, faults
    faults.close()


def touch(address: int, byte: int | None = None) -> int:
    """Reads a byte as a vCPU would, which does not keep the interpreter from its other threads."""
    libc = ctypes.CDLL(None)
    found = ctypes.create_string_buffer(1 if byte is None else bytes([byte]), 1)
    places = (ctypes.addressof(found), address)
    libc.memcpy(*map(ctypes.c_void_p, places if byte is None else places[::-1]), 1)
    return found.raw[0]


def test_each_page_is_put_back_once_as_it_was(missing: tuple[int, Userfaults]) -> None:
    address, faults = missing
    touch(address + PAGE, 1)
    assert [touch(address + at) for at in (0, PAGE, PAGE + 1)] == [*b"a\1b"]
    assert faults.told() == ((1, True), (0, False))
    assert faults.told() == ()


def test_what_the_vmm_is_about_to_touch_is_there_and_not_told(
    missing: tuple[int, Userfaults],
) -> None:
    address, faults = missing
    faults.fill(PAGE + 1, PAGE)
    assert ctypes.string_at(address + PAGE, 2 * PAGE) == MEMORY[PAGE:]
    assert faults.told() == ()
