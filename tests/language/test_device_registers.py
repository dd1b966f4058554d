"""Registers of devices by their names, in the device map and as addresses."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from vcpu_scenario.source import InvalidScenario
from vcpu_scenario.vmm.pl011 import Pl011, computed

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


DEVICE = """\
title: t
guest: {words: [0xd4200000]}
debug: {software_breakpoints: true}
devices:
  it: {handled_by: userspace, at: 0x09000000, %s}
  gic: {handled_by: kernel, model: vgic-v3, distributor: 0x08000000, redistributor: 0x080a0000}
expect: [{exits: [debug: {}]}]
"""


def complaints(keys: str) -> str:
    with pytest.raises(InvalidScenario) as told:
        scenario(DEVICE % keys)
    return str(told.value)


@pytest.mark.parametrize("model", ["pl011", "pl011, spi: 40"])
@pytest.mark.parametrize("register", ["FR", "0x18", "DR", "0xfe0", "0xffc"])
def test_a_value_that_a_pl011_computes_itself_is_told(model: str, register: str) -> None:
    told = complaints(f"model: {model}, registers: {{{register}: 0x90}}")
    assert f"`it` never shows a value that is put in `{register}`" in told
    assert "it reads as" in told


@pytest.mark.parametrize("register", ["RIS", "MIS"])
def test_a_pl011_computes_its_interrupts_where_it_has_one(register: str) -> None:
    registers = f"registers: {{{register}: 0x10}}"
    assert "never shows" in complaints(f"model: pl011, spi: 40, {registers}")
    assert scenario(DEVICE % f"model: pl011, {registers}")


@pytest.mark.parametrize("interrupt", ["", "spi: 40, "])
def test_what_a_pl011_does_not_compute_reads_as_it_is_given(interrupt: str) -> None:
    """Of each word but those that are told of."""
    hidden = computed(interrupt=bool(interrupt))
    given = {offset: 0x5A for offset in range(0, 0x1000, 4) if offset not in hidden}
    (found,) = (
        one.case
        for one in scenario(DEVICE % f"{interrupt}model: pl011, registers: {given}").cases(["6.12"])
    )
    (device,) = found.devices
    uart = Pl011(device)
    assert {offset: uart.read(offset, 4) for offset in given} == given
    for offset in hidden:
        given_it = Pl011(replace(device, registers=((offset, 0x5A),)))
        assert given_it.read(offset, 4) == Pl011(replace(device, registers=())).read(offset, 4)


@pytest.mark.parametrize(
    "keys",
    [
        'registers: {0x18: 1, "0x018": 0x90}',
        'model: replies-by-address, registers: {0x18: 1, "24": 0x90}',
        'model: scripted, replies: {0x18: [1], "0x018": [2]}',
        "model: pl011, registers: {IBRD: 1, 0x24: 2}",
        "model: pl011, registers: {RSR: 1, ECR: 2}",
    ],
)
def test_one_register_by_two_spellings_is_told(keys: str) -> None:
    assert "is the same register as" in complaints(keys)


def test_a_register_that_has_replies_as_well_is_told() -> None:
    told = complaints("model: scripted, registers: {8: 1}, replies: {8: [2]}")
    assert "`it` never shows a value that is put in `8`" in told
    assert scenario(DEVICE % "model: scripted, registers: {4: 1}, replies: {8: [2]}")


@pytest.mark.parametrize(
    "registers", ["{0x1a: 2, 0x18: 1}", "{0: 0x1_0000_0000, 4: 5}", "{0: 0x11223344, 3: 0}"]
)
def test_a_register_that_replaces_bytes_of_another_is_told(registers: str) -> None:
    assert "replaces a byte of" in complaints(f"registers: {registers}")


@pytest.mark.parametrize("registers", ["{0: 1, 1: 2, 2: 3}", "{0: 0x1_0000_0000, 8: 5}"])
def test_a_register_may_lie_where_another_is_0(registers: str) -> None:
    assert scenario(DEVICE % f"registers: {registers}")
