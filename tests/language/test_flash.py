"""A flash has a read-only slot of its own."""

from __future__ import annotations

import pytest
from vcpu_scenario.source import InvalidScenario

from .build import scenario

TEXT = """\
title: t
memory:
  - {at: 0x40000000, size: 64KiB}
  - {at: 0x04000000, size: %s}
guest: {at: 0x40000000, words: [0xb9000001], regs: {x0: flash}}
devices:
  flash: {handled_by: userspace, model: cfi-flash, at: 0x04000000, size: %s}
expect: [{exits: [{mmio: {write: flash}}]}]
"""


def test_a_flash_that_is_its_slot_is_accepted() -> None:
    (found,) = scenario(TEXT % ("1MiB, readonly: true", "1MiB")).cases(["6.12"])
    assert found.case.devices[0].model == "cfi-flash"


@pytest.mark.parametrize(
    ("slot", "size", "message"),
    [
        ("1MiB, readonly: true", "512KiB", "the flash `flash` has no memory"),
        ("768KiB, readonly: true", "768KiB", "no flash has this size"),
        ("256KiB, readonly: true", "256KiB", "no flash has this size"),
        ("1MiB", "1MiB", "overlaps"),
    ],
)
def test_one_that_is_not_is_told(slot: str, size: str, message: str) -> None:
    with pytest.raises(InvalidScenario, match=message):
        scenario(TEXT % (slot, size))
