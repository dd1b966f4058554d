"""``/dev/kvm``, and a VM of it."""

from __future__ import annotations

import errno
import os
import platform

from vcpu_scenario.machine.errors import KvmError
from vcpu_scenario.machine.real import uapi
from vcpu_scenario.machine.real.errors import NoKvmError
from vcpu_scenario.machine.real.ioctls import call


def open_kvm(device: str) -> int:
    """The file ``device``."""
    if platform.machine() != "aarch64":
        raise NoKvmError(f"KVM/arm64 needs an arm64 host; this one is {platform.machine()}")
    try:
        return os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise NoKvmError(f"cannot open {device}: {error.strerror}") from error


def check_api(kvm: int, device: str) -> None:
    """Raises :class:`NoKvmError` where ``kvm`` has another API than the one that is known."""
    version = call(kvm, uapi.KVM_GET_API_VERSION, 0, "KVM_GET_API_VERSION")
    if version != uapi.KVM_API_VERSION:
        raise NoKvmError(f"{device} speaks API version {version}, not {uapi.KVM_API_VERSION}")


def create_vm(kvm: int) -> int:
    """A VM with 40-bit IPAs or, where the CPU has fewer, with what it has."""
    try:
        return call(kvm, uapi.KVM_CREATE_VM, 0, "KVM_CREATE_VM")
    except KvmError as refused:
        if refused.errno != errno.EINVAL:
            raise
    what = "KVM_CAP_ARM_VM_IPA_SIZE"
    bits = call(kvm, uapi.KVM_CHECK_EXTENSION, uapi.KVM_CAP_ARM_VM_IPA_SIZE, what)
    return call(kvm, uapi.KVM_CREATE_VM, bits, "KVM_CREATE_VM")
