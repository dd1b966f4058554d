"""What an ITS does that no scenario says, and what is not modelled of it."""

from __future__ import annotations

from collections.abc import Iterator
from errno import EBADF, EFAULT, EINVAL, ENODEV
from functools import partial
from struct import pack

import pytest
from vcpu_scenario import InvalidScenario, loads
from vcpu_scenario.case import Gic, Memslot
from vcpu_scenario.ioctls.attributes import DeviceAttr
from vcpu_scenario.ioctls.devices import CreateDevice, SignalMsi
from vcpu_scenario.machine.emulated.machine import EmulatedMachine, create
from vcpu_scenario.machine.errors import KvmError, NotModelled
from vcpu_scenario.vmm.setup import add_gic

vgic = partial(DeviceAttr, "vgic")
its = partial(DeviceAttr, "its")
REGS, CTRL, REDIST, DIST = 8, 4, 5, 1
VALID = 1 << 63
CBASER, CWRITER, CREADR, BASER0, BASER1 = 0x80, 0x88, 0x90, 0x100, 0x108
SAVE = 1
MAPD, MAPC, MAPTI, INT = 8, 9, 0xA, 3
DOORBELL = 0x0809_0040


@pytest.fixture
def machine() -> Iterator[EmulatedMachine]:
    made = create("6.12")
    made.memory.add(Memslot(0x4000_0000, 0x10_0000))
    made.vcpu_init(("psci_0_2",))
    add_gic(made.devices, Gic(3, 0x0800_0000, redist=0x080A_0000))
    yield made
    made.close()


def add_its(machine: EmulatedMachine) -> None:
    machine.devices.create(CreateDevice(8))
    for group, attr, value in (
        (0, 4, 0x0808_0000),
        (REGS, CBASER, VALID | 0x4001_0000),
        (REGS, BASER0, VALID | 0x4002_0000),
        (REGS, BASER1, VALID | 0x4003_0000),
        (REGS, 0, 1),
    ):
        machine.devices.set(its(group, attr), value)


def set_up(machine: EmulatedMachine) -> None:
    add_its(machine)
    for register, value in ((0x70, 0x4005_070F), (0x78, 0x4006_0700), (0x0, 1)):
        machine.devices.set(vgic(REDIST, register), value)


def send(machine: EmulatedMachine, *commands: tuple[int, int, int]) -> None:
    at = machine.devices.get(its(REGS, CWRITER))
    for words in commands:
        machine.memory.write(0x4001_0000 + at, pack("<4Q", *words, 0))
        at += 32
    machine.devices.set(its(REGS, CWRITER), at)


def errno_of(machine: EmulatedMachine, msi: SignalMsi) -> int:
    with pytest.raises(KvmError) as refused:
        machine.signal_msi(msi)
    return refused.value.errno


def test_each_its_has_its_own_registers(machine: EmulatedMachine) -> None:
    machine.devices.create(CreateDevice(8))
    machine.devices.create(CreateDevice(8))
    for number, base in ((0, 0x0808_0000), (1, 0x080E_0000)):
        machine.devices.set(its(0, 4, number=number), base)
        machine.devices.set(its(REGS, CBASER, number=number), base)
    bases = [machine.devices.get(its(REGS, CBASER, number=number)) for number in (0, 1)]
    assert bases == [0x1800_0000_0808_0000, 0x1800_0000_080E_0000]
    with pytest.raises(KvmError) as refused:
        machine.devices.get(its(REGS, CBASER, number=2))
    assert refused.value.errno == EBADF


def test_without_an_its_lpis_are_not_there(machine: EmulatedMachine) -> None:
    machine.devices.set(vgic(REDIST, 0x0), 1)
    assert machine.devices.get(vgic(REDIST, 0x0)) & 1 == 0
    assert machine.devices.get(vgic(DIST, 0x4)) == 0x48_0001
    assert errno_of(machine, SignalMsi(DOORBELL, 0, 0)) == ENODEV


def test_an_msi_needs_a_device_unless_kvm_knows_its_translation(machine: EmulatedMachine) -> None:
    set_up(machine)
    table, entry = (MAPD, 4, VALID | 0x4004_0000), (MAPTI, 8192 << 32 | 3, 0)
    send(machine, table, (MAPC, 0, VALID), entry)
    assert errno_of(machine, SignalMsi(DOORBELL, 3)) == EINVAL
    assert machine.signal_msi(SignalMsi(DOORBELL, 3, 0))
    assert machine.signal_msi(SignalMsi(DOORBELL, 3))


def test_commands_that_look_at_more_than_a_run_may_are_told(
    machine: EmulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(machine)
    table, every = (MAPD, 4, VALID | 0x4004_0000), (0xD, 0, 0)
    lpis = ((MAPTI, 8192 + event << 32 | event, 0) for event in range(8))
    send(machine, table, (MAPC, 0, VALID), *lpis)
    monkeypatch.setattr("vcpu_scenario.machine.emulated.vgic.its.state._MOST_STEPS", 20)
    send(machine, every, every)
    with pytest.raises(NotModelled, match="more than 20 steps to do at once"):
        send(machine, every, every, every)


def test_more_events_than_there_is_room_for_are_told(
    machine: EmulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vcpu_scenario.machine.emulated.vgic.its.state._MOST_EVENTS", 2)
    set_up(machine)
    send(machine, (MAPD, 4, VALID | 0x4004_0000), (MAPC, 0, VALID))
    first, second, third = ((MAPTI, 8192 + event << 32 | event, 0) for event in range(3))
    send(machine, first, second, (0xF, 0, 0), first)
    with pytest.raises(NotModelled, match="more than 2 events"):
        send(machine, third)


def test_a_queue_goes_round(machine: EmulatedMachine) -> None:
    set_up(machine)
    for at in (0xFE0, 0x20):
        machine.devices.set(its(REGS, CWRITER), at)
        assert machine.devices.get(its(REGS, CREADR)) == at


def test_a_table_of_two_levels_is_read_from_memory(machine: EmulatedMachine) -> None:
    set_up(machine)
    machine.devices.set(its(REGS, 0), 0)
    machine.devices.set(its(REGS, BASER0), VALID | 1 << 62 | 0x4002_0000)
    machine.devices.set(its(REGS, 0), 1)
    machine.memory.write(0x4002_0008, pack("<Q", VALID | 0x4008_0000))
    mapped, beyond = 0x2001, 5
    for device in (mapped, beyond):
        send(machine, (device << 32 | MAPD, 4, VALID | 0x4004_0000), (MAPC, 0, VALID))
        send(machine, (device << 32 | MAPTI, 8192 << 32, 0))
    assert machine.signal_msi(SignalMsi(DOORBELL, 0, mapped))
    assert not machine.signal_msi(SignalMsi(DOORBELL, 0, beyond))
    machine.devices.set(its(CTRL, SAVE), None)
    assert machine.memory.read(0x4008_0008, 8) == pack("<Q", VALID | 0x4004_00 << 5 | 4)


def test_a_read_only_table_cannot_be_saved(machine: EmulatedMachine) -> None:
    machine.memory.add(Memslot(0x5000_0000, 0x10_0000, readonly=True))
    set_up(machine)
    send(machine, (MAPD, 4, VALID | 0x5000_0000), (MAPC, 0, VALID), (MAPTI, 8192 << 32, 0))
    with pytest.raises(KvmError) as refused:
        machine.devices.set(its(CTRL, SAVE), None)
    assert refused.value.errno == EFAULT


def test_events_of_no_collection_that_stop_the_host_are_named() -> None:
    machine = create("6.1")
    machine.memory.add(Memslot(0x4000_0000, 0x10_0000))
    machine.vcpu_init(("psci_0_2",))
    add_gic(machine.devices, Gic(3, 0x0800_0000, redist=0x080A_0000))
    set_up(machine)
    send(machine, (MAPD, 4, VALID | 0x4004_0000), (MAPC, 0, VALID), (MAPTI, 8192 << 32, 0))
    send(machine, (MAPC, 0, 0))
    with pytest.raises(NotModelled, match="an event of no collection"):
        machine.devices.set(its(CTRL, SAVE), None)
    machine.close()


def test_an_its_before_5_10_is_named() -> None:
    machine = create("5.4")
    machine.vcpu_init(("psci_0_2",))
    add_gic(machine.devices, Gic(3, 0x0800_0000, redist=0x080A_0000))
    with pytest.raises(NotModelled, match="an ITS, on kernels before"):
        machine.devices.create(CreateDevice(8))
    machine.close()


def test_an_its_without_an_initialised_vgic_is_named() -> None:
    machine = create("6.12")
    machine.memory.add(Memslot(0x4000_0000, 0x10_0000))
    machine.vcpu_init(("psci_0_2",))
    machine.devices.create_vgic(3)
    add_its(machine)
    machine.memory.write(0x4001_0000, pack("<4Q", MAPC, 0, VALID, 0))
    with pytest.raises(NotModelled, match="before its vGIC is initialised"):
        machine.devices.set(its(REGS, CWRITER), 0x20)
    machine.close()


def test_gicr_invlpir_reads_the_configuration_again(machine: EmulatedMachine) -> None:
    set_up(machine)
    send(machine, (MAPD, 4, VALID | 0x4004_0000), (MAPC, 0, VALID), (MAPTI, 8192 << 32, 0))
    machine.devices.set(vgic(DIST, 0x0), 2)
    assert machine.signal_msi(SignalMsi(DOORBELL, 0, 0))
    gic = machine._vcpu.gic
    assert gic is not None
    assert not gic.ap_list
    machine.memory.write(0x4005_0000, b"\xa1")
    machine.devices.set(vgic(REDIST, 0xA0), 8192)
    assert [irq.intid for irq in gic.ap_list] == [8192]
    with pytest.raises(NotModelled, match="GICR_INVLPIR of an interrupt that is no LPI, 40"):
        machine.devices.set(vgic(REDIST, 0xA0), 40)


@pytest.mark.parametrize("where", ["{gsi: 8}", "{gsi: 8, pin: 1, msi: {address: 0, data: 0}}"])
def test_a_gsi_leads_to_a_pin_or_to_an_msi(where: str) -> None:
    text = f"""
title: a route
guest: {{at: 0x40000000, words: [0xd42000e0]}}
debug: {{software_breakpoints: true}}
before: [gsi_routing: [{where}]]
expect:
  - exits: [debug: {{brk: 0x40000000, imm: 7}}]
"""
    with pytest.raises(InvalidScenario, match="a gsi leads to one place"):
        loads(text)
