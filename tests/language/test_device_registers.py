"""Registers of devices by their names, in the device map and as addresses."""

from __future__ import annotations

import pytest
from vcpu_scenario.source import InvalidScenario

from .build import scenario

HEAD = """\
title: t
guest: {words: [0xb9400001], regs: {x0: disk+STATUS}}
devices:
  disk: {handled_by: userspace, model: virtio-mmio, at: 0x0a000000, size: 0x200, registers: %s}
  uart: {handled_by: userspace, model: pl011, at: 0x09000000, registers: {IBRD: 13}}
expect: [{exits: [{mmio: {read: disk+STATUS}}]}]
"""


def test_a_register_is_set_by_its_name_or_its_offset() -> None:
    (found,) = (one.case for one in scenario(HEAD % "{DEVICE_ID: 2, 0x34: 1024}").cases(["6.12"]))
    disk, uart = found.devices
    assert dict(disk.registers) == {0: 0x74726976, 4: 2, 8: 2, 0x34: 1024}
    assert dict(uart.registers) == {0x24: 13}
    assert dict(found.regs)["x0"] == 0x0A000070


@pytest.mark.parametrize(
    ("registers", "message"),
    [
        ("{DEVICEID: 2}", "`disk` has no register `DEVICEID`"),
        ("{0x200: 2}", "out of range"),
    ],
)
def test_a_register_that_is_not_there_is_told(registers: str, message: str) -> None:
    with pytest.raises(InvalidScenario, match=message):
        scenario(HEAD % registers)
