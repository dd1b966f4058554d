"""Ids that are no register's: how ``KVM_GET_ONE_REG`` and ``KVM_SET_ONE_REG`` refuse them."""

from __future__ import annotations

from errno import EINVAL, ENOENT, ENOEXEC
from typing import Final

from vcpu_scenario.kvm.registers import KVM_REG_ARM64, KVM_REG_ARM_CORE, said, size_of
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.errors import KvmError

_SIZE: Final = 0xF << 52
_CLASS: Final = 0xFFF << 16
_CORE_WORDS: Final = 864 // 4
"""``struct kvm_regs`` in words of 32 bits."""


def check_initialised(vcpu: Vcpu, what: str) -> None:
    """Raises ENOEXEC before ``KVM_ARM_VCPU_INIT``."""
    if vcpu.features is None:
        raise KvmError(ENOEXEC, what)


def unknown(what: str, reg_id: int) -> KvmError:
    """The refusal of an id that no register has (``kvm_arm_get_reg``): EINVAL for one of another
    architecture, and for one within the core registers where none of that size begins."""
    refused = ENOENT
    if (reg_id & ~_SIZE) >> 32 != KVM_REG_ARM64 >> 32:
        refused = EINVAL
    elif reg_id & _CLASS == KVM_REG_ARM_CORE:
        last = (reg_id & 0xFFFF) + size_of(reg_id) // 4
        refused = EINVAL if last < _CORE_WORDS else ENOENT
    return KvmError(refused, f"{what} {said(reg_id)}")
