"""The regions of Unicorn's memory map: as many pages as are beside each other become one."""

from __future__ import annotations

import random
from typing import Any, cast

import pytest
from vcpu_scenario.machine.emulated.cpu.engine import Engine
from vcpu_scenario.machine.emulated.cpu.regions import BLOCK, PAGE, Regions
from vcpu_scenario.machine.emulated.cpu.uc import UC_PROT_ALL, UC_PROT_READ

BASE, HOST = 0x4000_0000, 0x7F00_0000_0000


class Map:
    """What Unicorn would have mapped, page by page."""

    def __init__(self) -> None:
        self.pages = dict[int, tuple[int, int]]()
        self.regions = dict[int, int]()

    def map_ptr(self, base: int, size: int, prot: int, address: int) -> None:
        assert base % PAGE == 0
        for at in range(0, size, PAGE):
            assert base + at not in self.pages
            self.pages[base + at] = prot, address + at
        self.regions[base] = size

    def unmap(self, base: int, size: int) -> None:
        assert self.regions.pop(base) == size
        for at in range(base, base + size, PAGE):
            del self.pages[at]


def begin() -> tuple[Map, Regions, list[tuple[int, int]]]:
    made, dropped = Map(), list[tuple[int, int]]()
    engine = cast(Engine, cast(Any, made))
    return made, Regions(engine, lambda start, end: dropped.append((start, end))), dropped


def test_pages_that_are_touched_one_after_the_other_are_few_regions() -> None:
    made, regions, _ = begin()
    for base in range(BASE, BASE + 2 * BLOCK, PAGE):
        regions.map(base, PAGE, UC_PROT_ALL, HOST + base, set())
        assert len(made.regions) < 12
    assert made.regions == {BASE: BLOCK, BASE + BLOCK: BLOCK}


@pytest.mark.parametrize("seed", range(8))
def test_each_page_is_mapped_as_it_was_asked_for(seed: int) -> None:
    chosen, expected = random.Random(seed), dict[int, tuple[int, int]]()
    made, regions, dropped = begin()
    code = {BASE // PAGE + n for n in chosen.sample(range(64), 8)} if seed & 1 else set[int]()
    for _ in range(2000):
        base = BASE + chosen.randrange(64) * PAGE
        if base in expected:
            regions.unmap(base, PAGE, code)
            del expected[base]
            assert base // PAGE not in code or any(s <= base < e for s, e in dropped)
            dropped.clear()
        else:
            prot = chosen.choice([UC_PROT_ALL, UC_PROT_ALL, UC_PROT_READ])
            host = HOST if base < BASE + 16 * PAGE else 2 * HOST
            regions.map(base, PAGE, prot, host + base, code)
            expected[base] = prot, host + base
        assert made.pages == expected
    regions.unmap_all(BASE, BASE + 64 * PAGE, code)
    assert not made.pages


def test_what_beside_a_page_has_code_stays_until_there_are_many() -> None:
    made, regions, dropped = begin()
    code = set(range(BASE // PAGE, (BASE + BLOCK) // PAGE))
    for base in range(BASE, BASE + 256 * PAGE, PAGE):
        regions.map(base, PAGE, UC_PROT_ALL, HOST + base, code)
    assert len(made.regions) == 256
    assert dropped == []
    regions.map(BASE + 256 * PAGE, PAGE, UC_PROT_ALL, HOST + BASE + 256 * PAGE, code)
    regions.map(BASE + 257 * PAGE, PAGE, UC_PROT_ALL, HOST + BASE + 257 * PAGE, code)
    assert dropped == [(BASE + 256 * PAGE, BASE + 257 * PAGE)]
