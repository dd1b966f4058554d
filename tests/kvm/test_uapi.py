"""The ioctl numbers are those that arm64 kernels have."""

from __future__ import annotations

import ctypes

import pytest
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.real import uapi


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("KVM_GET_API_VERSION", 0xAE00),
        ("KVM_CREATE_VM", 0xAE01),
        ("KVM_CHECK_EXTENSION", 0xAE03),
        ("KVM_GET_VCPU_MMAP_SIZE", 0xAE04),
        ("KVM_CREATE_VCPU", 0xAE41),
        ("KVM_SET_USER_MEMORY_REGION", 0x4020AE46),
        ("KVM_IRQ_LINE", 0x4008AE61),
        ("KVM_REGISTER_COALESCED_MMIO", 0x4010AE67),
        ("KVM_IOEVENTFD", 0x4040AE79),
        ("KVM_RUN", 0xAE80),
        ("KVM_SET_MP_STATE", 0x4004AE99),
        ("KVM_SET_GUEST_DEBUG", 0x4208AE9B),
        ("KVM_SET_VCPU_EVENTS", 0x4040AEA0),
        ("KVM_ENABLE_CAP", 0x4068AEA3),
        ("KVM_GET_ONE_REG", 0x4010AEAB),
        ("KVM_SET_ONE_REG", 0x4010AEAC),
        ("KVM_ARM_VCPU_INIT", 0x4020AEAE),
        ("KVM_ARM_PREFERRED_TARGET", 0x8020AEAF),
        ("KVM_CREATE_DEVICE", 0xC00CAEE0),
        ("KVM_SET_DEVICE_ATTR", 0x4018AEE1),
    ],
)
def test_an_ioctl_has_the_number_of_the_uapi(name: str, number: int) -> None:
    assert getattr(uapi, name) == number


def test_the_page_shared_with_kvm_run_is_laid_out_as_in_the_uapi() -> None:
    assert ctypes.sizeof(abi.kvm_run) == 2352
    assert abi.kvm_run.u.offset == 32
