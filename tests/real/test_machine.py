"""The real machine asks the kernel for what the interface says, and reports its refusals."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from vcpu_scenario.case import Gic, Ioeventfd, Memslot
from vcpu_scenario.ioctls.attributes import DeviceAttr
from vcpu_scenario.ioctls.devices import Irqfd
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import CORE_REGISTERS
from vcpu_scenario.machine.errors import KvmError, Unsupported
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.machine.real.errors import NoKvmError
from vcpu_scenario.machine.real.machine import RealMachine
from vcpu_scenario.vmm.setup import add_gic

from .fake_kvm import FakeKvm

vgic = partial(DeviceAttr, "vgic")


@pytest.fixture
def kvm(monkeypatch: pytest.MonkeyPatch) -> FakeKvm:
    """A kernel on a host that is arm64."""
    fake = FakeKvm()
    monkeypatch.setattr("fcntl.ioctl", fake.ioctl)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    monkeypatch.setattr("vcpu_scenario.machine.real.caches.synchronise", lambda *_: None)
    return fake


@pytest.fixture
def machine(kvm: FakeKvm) -> Iterator[RealMachine]:
    with RealMachine(os.devnull) as made:
        yield made


def test_it_is_a_machine(machine: RealMachine) -> None:
    driven: Machine = machine
    assert driven.run is machine.run


@pytest.mark.skipif(platform.machine() == "aarch64", reason="this is an arm64 host")
def test_a_host_of_another_architecture_is_told() -> None:
    with pytest.raises(NoKvmError, match="needs an arm64 host"):
        RealMachine()


def test_a_host_without_kvm_is_told(kvm: FakeKvm) -> None:
    with pytest.raises(NoKvmError, match="cannot open /nowhere/kvm: No such file"):
        RealMachine("/nowhere/kvm")


def test_a_device_that_is_not_kvm_is_told(kvm: FakeKvm) -> None:
    kvm.does["KVM_GET_API_VERSION"] = lambda _: 11
    with pytest.raises(NoKvmError, match="API version 11"):
        RealMachine(os.devnull)


def test_a_machine_that_cannot_be_made_leaves_no_file_open(kvm: FakeKvm) -> None:
    kvm.refuses["KVM_GET_VCPU_MMAP_SIZE"] = errno.ENOMEM
    before = os.listdir("/proc/self/fd")
    with pytest.raises(KvmError):
        RealMachine(os.devnull)
    assert os.listdir("/proc/self/fd") == before


def test_a_cpu_with_fewer_address_bits_gets_a_vm_of_its_size(kvm: FakeKvm) -> None:
    make = kvm.does["KVM_CREATE_VM"]

    def only_36_bits(bits: int) -> int:
        if bits != 36:
            raise OSError(errno.EINVAL, "")
        return make(bits)

    kvm.does["KVM_CREATE_VM"] = only_36_bits
    kvm.does["KVM_CHECK_EXTENSION"] = lambda _: 36
    RealMachine(os.devnull).close()
    assert kvm.of("KVM_CREATE_VM") == [0, 36]


def test_slots_are_numbered_and_read_only_where_asked(kvm: FakeKvm, machine: RealMachine) -> None:
    machine.memory.add(Memslot(0x4000_0000, 0x2000))
    machine.memory.add(Memslot(0x5000_0000, 0x1000, readonly=True))
    first, second = kvm.of("KVM_SET_USER_MEMORY_REGION")
    assert (first["slot"], first["flags"], first["guest_phys_addr"]) == (0, 0, 0x4000_0000)
    assert first["memory_size"] == 0x2000
    assert (second["slot"], second["flags"]) == (1, abi.KVM_MEM_READONLY)


def test_memory_is_written_and_read_across_slots_that_touch(machine: RealMachine) -> None:
    machine.memory.add(Memslot(0x4000_0000, 0x1000))
    machine.memory.add(Memslot(0x4000_1000, 0x1000, readonly=True))
    machine.memory.write(0x4000_0FFE, b"abcd")
    assert machine.memory.read(0x4000_0FFD, 6) == b"\0abcd\0"


def test_the_guest_sees_what_was_written(kvm: FakeKvm, machine: RealMachine) -> None:
    machine.memory.add(Memslot(0x4000_0000, 0x1000))
    machine.memory.write(0x4000_0010, b"code")
    (slot,) = kvm.of("KVM_SET_USER_MEMORY_REGION")
    assert ctypes.string_at(slot["userspace_addr"] + 0x10, 4) == b"code"


def test_caches_are_told_of_every_piece(
    machine: RealMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    monkeypatch.setattr(
        "vcpu_scenario.machine.real.caches.synchronise", lambda _, length: told.append(length)
    )
    machine.memory.add(Memslot(0x4000_0000, 0x1000))
    machine.memory.add(Memslot(0x4000_1000, 0x1000))
    machine.memory.write(0x4000_0FFC, bytes(12))
    machine.memory.read(0x4000_0FFC, 5)
    assert told == [4, 8, 4, 1]


def test_memory_that_no_slot_has_is_refused(machine: RealMachine) -> None:
    machine.memory.add(Memslot(0x4000_0000, 0x1000))
    with pytest.raises(KvmError, match="0x40001000: no memslot"):
        machine.memory.write(0x4000_0FFF, b"ab")
    with pytest.raises(KvmError, match="0x3fffffff: no memslot"):
        machine.memory.read(0x3FFF_FFFF, 1)


def test_a_slot_that_cannot_be_mapped_is_refused(machine: RealMachine) -> None:
    with pytest.raises(KvmError) as refused:
        machine.memory.add(Memslot(0x4000_0000, 1 << 62))
    assert refused.value.errno in (errno.ENOMEM, errno.EINVAL)


def test_a_refused_capability_is_told_by_its_name(kvm: FakeKvm, machine: RealMachine) -> None:
    kvm.refuses["KVM_ENABLE_CAP"] = errno.EINVAL
    with pytest.raises(KvmError) as refused:
        machine.enable_cap("arm_nisv_to_user")
    assert refused.value.errno == errno.EINVAL
    assert refused.value.what == "cap nisv"
    assert kvm.of("KVM_ENABLE_CAP")[0]["cap"] == 177


def test_a_capability_that_no_one_knows_is_unsupported(machine: RealMachine) -> None:
    with pytest.raises(Unsupported, match="arm_teleport"):
        machine.enable_cap("arm_teleport")


def test_a_vgicv3_gets_its_addresses_64_interrupts_and_is_initialised(
    kvm: FakeKvm, machine: RealMachine
) -> None:
    add_gic(machine.devices, Gic(3, 0x0800_0000, redist=0x080A_0000))
    assert kvm.of("KVM_CREATE_DEVICE")[0]["type"] == 7
    told = [(a["group"], a["attr"], a.get("value")) for a in kvm.of("KVM_SET_DEVICE_ATTR")]
    assert told == [(0, 2, 0x0800_0000), (0, 3, 0x080A_0000), (3, 0, 64), (4, 0, None)]


def test_a_vgicv2_gets_the_address_of_its_cpu_interface(kvm: FakeKvm, machine: RealMachine) -> None:
    add_gic(machine.devices, Gic(2, 0x0800_0000, cpu=0x0801_0000))
    assert kvm.of("KVM_CREATE_DEVICE")[0]["type"] == 5
    told = [(a["group"], a["attr"], a.get("value")) for a in kvm.of("KVM_SET_DEVICE_ATTR")]
    assert told == [(0, 0, 0x0800_0000), (0, 1, 0x0801_0000), (3, 0, 64), (4, 0, None)]


def test_a_gic_that_the_host_cannot_serve_is_unsupported(
    kvm: FakeKvm, machine: RealMachine
) -> None:
    kvm.refuses["KVM_CREATE_DEVICE"] = errno.ENODEV
    with pytest.raises(Unsupported, match="vGICv2"):
        add_gic(machine.devices, Gic(2, 0x0800_0000, cpu=0x0801_0000))


def test_a_second_gic_is_refused(kvm: FakeKvm, machine: RealMachine) -> None:
    kvm.refuses["KVM_CREATE_DEVICE"] = errno.EEXIST
    with pytest.raises(KvmError, match="vgic-v3"):
        add_gic(machine.devices, Gic(3, 0x0800_0000, redist=0x080A_0000))


@pytest.mark.parametrize(("psci", "feature"), [(True, 1 << 2), (False, 0)])
def test_the_vcpu_is_the_preferred_target_with_psci_as_asked(
    kvm: FakeKvm, machine: RealMachine, psci: bool, feature: int
) -> None:
    def prefer(init: Any) -> int:
        init.target = 5
        return 0

    kvm.does["KVM_ARM_PREFERRED_TARGET"] = prefer
    machine.vcpu_init(["psci_0_2"] if psci else [])
    (init,) = kvm.of("KVM_ARM_VCPU_INIT")
    assert init["target"] == 5
    assert init["features"][0] == feature


def test_eventfds_count_what_was_signalled(kvm: FakeKvm, machine: RealMachine) -> None:
    machine.ioeventfds.add(Ioeventfd(0x0A00_0000, 4, 0))
    machine.ioeventfds.add(Ioeventfd(0x0A00_0008, 0))
    first, second = kvm.of("KVM_IOEVENTFD")
    assert (first["addr"], first["len"], first["datamatch"]) == (0x0A00_0000, 4, 0)
    assert (first["flags"], second["flags"], second["len"]) == (1, 0, 0)
    os.eventfd_write(first["fd"], 2)
    assert machine.ioeventfds.counts() == (2, 0)
    os.eventfd_write(first["fd"], 1)
    assert machine.ioeventfds.counts() == (3, 0)


def test_a_doorbell_that_is_put_back_is_taken_away_by_its_new_eventfd(
    kvm: FakeKvm, machine: RealMachine
) -> None:
    doorbell = Ioeventfd(0x0A00_0000, 4)
    for _ in range(2):
        machine.ioeventfds.add(doorbell)
        machine.ioeventfds.remove(doorbell)
    added, removed, again, removed_again = (one["fd"] for one in kvm.of("KVM_IOEVENTFD"))
    assert (removed, removed_again) == (added, again)


def test_registers_travel_as_64_bits(kvm: FakeKvm, machine: RealMachine) -> None:
    def give(request: Any) -> int:
        ctypes.c_uint64.from_address(request.addr).value = 2**64 - 2
        return 0

    kvm.does["KVM_GET_ONE_REG"] = give
    assert machine.get_one_reg(CORE_REGISTERS["x0"]) == 2**64 - 2
    machine.set_one_reg(CORE_REGISTERS["pc"], 2**64 - 4)
    assert kvm.of("KVM_SET_ONE_REG") == [{"id": CORE_REGISTERS["pc"], "value": 2**64 - 4}]


def test_a_register_that_the_kernel_does_not_have_is_named(
    kvm: FakeKvm, machine: RealMachine
) -> None:
    kvm.refuses["KVM_GET_ONE_REG"] = errno.ENOENT
    with pytest.raises(KvmError, match=r"KVM_GET_ONE_REG 0x6030000000100040 \(pc\)"):
        machine.get_one_reg(CORE_REGISTERS["pc"])


def test_what_else_the_vmm_does_reaches_the_kernel(kvm: FakeKvm, machine: RealMachine) -> None:
    machine.irq_line(0x0100_0020, 1)
    machine.set_mp_state(abi.KVM_MP_STATE_STOPPED)
    machine.set_guest_debug(abi.kvm_guest_debug(control=3))
    machine.set_vcpu_events(abi.kvm_vcpu_events(ext_dabt_pending=1))
    machine.zones.add(0x0B00_0000, 0x100)
    assert kvm.of("KVM_IRQ_LINE") == [{"irq": 0x0100_0020, "level": 1}]
    assert kvm.of("KVM_SET_MP_STATE") == [{"mp_state": 5}]
    assert kvm.of("KVM_SET_GUEST_DEBUG")[0]["control"] == 3
    assert kvm.of("KVM_SET_VCPU_EVENTS")[0]["ext_dabt_pending"] == 1
    zones = kvm.of("KVM_REGISTER_COALESCED_MMIO")
    assert zones == [{"addr": 0x0B00_0000, "size": 0x100, "pio": 0}]


def test_a_run_gives_zero_or_the_negative_errno(kvm: FakeKvm, machine: RealMachine) -> None:
    assert machine.kvm_run(instructions=1, seconds=1) == 0
    kvm.refuses["KVM_RUN"] = errno.ENOSYS
    assert machine.kvm_run(instructions=1, seconds=0) == -errno.ENOSYS


def test_a_run_ends_when_its_time_is_up(kvm: FakeKvm, machine: RealMachine) -> None:
    def forever(_: Any) -> int:
        signal.pause()
        raise OSError(errno.EINTR, "")

    kvm.does["KVM_RUN"] = forever
    assert machine.kvm_run(instructions=1, seconds=0.01) == -errno.EINTR
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_alarm_that_came_too_early_comes_again(kvm: FakeKvm, machine: RealMachine) -> None:
    def late(_: Any) -> int:
        signal.pause()  # the first falls before the vCPU runs
        signal.pause()
        raise OSError(errno.EINTR, "")

    kvm.does["KVM_RUN"] = late
    assert machine.kvm_run(instructions=1, seconds=0.01) == -errno.EINTR


def test_the_shared_page_and_the_ring_are_the_kernels(machine: RealMachine) -> None:
    machine.run.immediate_exit = 1
    machine.ring.first = 7
    assert (machine.run.immediate_exit, machine.ring.first) == (1, 7)
    assert ctypes.addressof(machine.ring) - ctypes.addressof(machine.run) == 4096


def test_host_interrupts_cannot_be_asked_for(machine: RealMachine) -> None:
    with pytest.raises(Unsupported):
        machine.host_interrupt()


def test_closing_gives_the_signal_and_the_files_back(kvm: FakeKvm) -> None:
    handler = signal.getsignal(signal.SIGALRM)
    before = len(os.listdir("/proc/self/fd"))
    made = RealMachine(os.devnull)
    made.ioeventfds.add(Ioeventfd(0x0A00_0000, 4))
    assert signal.getsignal(signal.SIGALRM) is not handler
    made.close()
    del made
    assert signal.getsignal(signal.SIGALRM) is handler
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_vgic_is_created_alone_and_its_attributes_are_asked_for(
    kvm: FakeKvm, machine: RealMachine
) -> None:
    machine.devices.create_vgic(3)
    machine.devices.set(vgic(1, 0x104), 0xFF)
    machine.devices.set(vgic(0, 2), None)
    machine.devices.has(vgic(5, 8))
    assert [(a["group"], a["attr"], a.get("value")) for a in kvm.of("KVM_SET_DEVICE_ATTR")] == [
        (1, 0x104, 0xFF),
        (0, 2, None),
    ]
    assert [(a["group"], a["attr"]) for a in kvm.of("KVM_HAS_DEVICE_ATTR")] == [(5, 8)]


def test_a_gsi_has_one_eventfd_that_raises_it_and_one_that_tells_of_its_end(
    kvm: FakeKvm, machine: RealMachine
) -> None:
    machine.irqfds.add(Irqfd(8, resample=True))
    machine.irqfds.add(Irqfd(9))
    machine.irqfds.remove(8)
    first, second, removed = kvm.of("KVM_IRQFD")
    assert (first["gsi"], first["flags"], second["flags"], removed["flags"]) == (8, 2, 0, 1)
    assert first["fd"] == removed["fd"] != second["fd"]
    os.eventfd_write(first["resamplefd"], 2)
    assert (machine.irqfds.resamples(8), machine.irqfds.resamples(8)) == (2, 0)
    machine.irqfds.signal(9)
    assert os.eventfd_read(second["fd"]) == 1


def test_without_a_vgic_its_attributes_are_those_of_no_file(machine: RealMachine) -> None:
    with pytest.raises(KvmError) as refused:
        machine.devices.get(vgic(3, 0))
    assert refused.value.errno == errno.EBADF
