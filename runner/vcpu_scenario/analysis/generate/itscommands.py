"""Commands of an ITS: those that map what a driver would, and others of any kind."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from random import Random
from typing import Final

from vcpu_scenario.analysis.generate.surroundings import NOWHERE

TABLES: Final = 0x4004_0000
"""Where the tables of the devices' events are, 256 bytes for each."""
SIZE: Final = 32
"""Bytes of a command."""
VALID: Final = 1 << 63
_FIRST_LPI: Final = 8192


def _command(number: int, first: int = 0, second: int = 0, third: int = 0) -> bytes:
    """The four doublewords of one; ``first`` is what stands above its number."""
    return struct.pack("<4Q", number | first, second, third, 0)


def device_id(random: Random) -> int:
    return random.choice((0, 0, 0, 1, 1, 2, 7, 0xFFFF))


def event_id(random: Random) -> int:
    return random.choice((0, 0, 1, 1, 2, 3, 31, 32))


def _lpi(random: Random) -> int:
    odd = (0, 32, _FIRST_LPI - 1, _FIRST_LPI + 15, 0xFFFF, 0x1_0000)
    return random.choice(odd) if random.random() < 0.1 else _FIRST_LPI + random.randrange(6)


def _collection(random: Random) -> int:
    return random.choice((0, 0, 0, 1, 1, 2, 0xFFFF))


def _target(random: Random) -> int:
    """A redistributor, which is the number of its vCPU: there is one."""
    return random.choice((0, 0, 0, 0, 0, 1)) << 16


def _map_device(random: Random, device: int | None = None) -> bytes:
    device = device_id(random) if device is None else device
    table = TABLES + (device & 3) * 0x100
    if random.random() < 0.05:
        table = random.choice((NOWHERE, 1 << 47))
    valid = VALID * (random.random() < 0.85)
    bits = random.choice((1, 2, 4, 4, 4, 15, 16))
    return _command(0x8, device << 32, bits, table | valid)


def _map_collection(random: Random, collection: int | None = None) -> bytes:
    number = _collection(random) if collection is None else collection
    return _command(0x9, 0, 0, VALID * (random.random() < 0.85) | _target(random) | number)


def _map_event(random: Random) -> bytes:
    device, event, lpi = device_id(random) << 32, event_id(random), _lpi(random)
    collection = _collection(random)
    if random.random() < 0.2:
        return _command(0xB, device, random.choice((lpi, event)), collection)  # MAPI
    return _command(0xA, device, lpi << 32 | event, collection)


def _of_event(random: Random) -> bytes:
    """INT, CLEAR, INV, DISCARD."""
    number = random.choice((0x3, 0x3, 0x3, 0x3, 0x4, 0xC, 0xF))
    return _command(number, device_id(random) << 32, event_id(random))


def _of_collection(random: Random) -> bytes:
    kind = random.random()
    if kind < 0.4:
        return _command(0xD, 0, 0, _collection(random))  # INVALL
    if kind < 0.6:
        return struct.pack("<4Q", 0xE, 0, _target(random), _target(random))  # MOVALL
    if kind < 0.9:
        return _command(0x1, device_id(random) << 32, event_id(random), _collection(random))  # MOVI
    return _command(0x5, 0, 0, _target(random))  # SYNC


def good(random: Random) -> Iterable[bytes]:
    """Two devices with two events each, all of which some collection has."""
    for number in range(2):
        yield _command(0x9, 0, 0, VALID | number)
        yield _command(0x8, number << 32, 4, TABLES + number * 0x100 | VALID)
    for device in range(2):
        for event in range(2):
            lpi = _FIRST_LPI + 2 * device + event
            yield _command(0xA, device << 32, lpi << 32 | event, random.randrange(2))


def some(random: Random) -> Sequence[bytes]:
    kind = random.random()
    if kind < 0.15:
        return (_map_device(random),)
    if kind < 0.25:
        return (_map_collection(random),)
    if kind < 0.5:
        return (_map_event(random),)
    if kind < 0.8:
        return (_of_event(random),)
    if kind < 0.92:
        return (_of_collection(random),)
    if kind < 0.95:
        return (random.randbytes(SIZE),)
    return _map_device(random, 0), _map_collection(random, 0), _map_event(random)
