"""What ``KVM_GET_ONE_REG`` and ``KVM_SET_ONE_REG`` refuse: ids of no register, or every one."""

from __future__ import annotations

from collections.abc import Iterator
from errno import EINVAL, EIO, ENOENT, ENOEXEC
from typing import Final

from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.kvm.registers import (
    CORE_WORDS,
    KVM_REG_ARM64,
    is_core,
    is_firmware,
    said,
    size_of,
    word_of,
)
from vcpu_scenario.machine.emulated.kvm.access import Access
from vcpu_scenario.machine.emulated.kvm.vcpu import Refused
from vcpu_scenario.machine.errors import KvmError, NotModelled

_SIZE: Final = 0xF << 52


class Withheld(dict[int, Access]):
    """The registers of a vCPU that shows none: ``errno`` is what each ioctl about them gives."""

    def __init__(self, errno: int) -> None:
        super().__init__()
        self.errno: Final = errno

    def __missing__(self, reg_id: int) -> Access:
        raise Refused(self.errno)

    def __iter__(self) -> Iterator[int]:
        raise Refused(self.errno)


UNINITIALISED: Final = Withheld(ENOEXEC)
"""Before ``KVM_ARM_VCPU_INIT``."""
DEAD: Final = Withheld(EIO)
"""Of a VM that is dead."""


def unknown(what: str, reg_id: int, behaviour: Behaviour) -> KvmError:
    """The refusal of an id that no register has (``kvm_arm_get_reg``): EINVAL for one of another
    architecture, and for one within the core registers where none of that size begins."""
    refused = ENOENT
    if (reg_id & ~_SIZE) >> 32 != KVM_REG_ARM64 >> 32:
        refused = EINVAL
    elif is_core(reg_id):
        last = word_of(reg_id) + size_of(reg_id) // 4
        refused = EINVAL if last < CORE_WORDS else ENOENT
        if refused == EINVAL and not behaviour.core_ids_checked:
            raise NotModelled(f"{what} {said(reg_id)}: {size_of(reg_id)} bytes of struct kvm_regs")
    elif is_firmware(reg_id) and not behaviour.workaround_registers:
        refused = EINVAL if behaviour.psci_version_register else ENOENT
    return KvmError(refused, f"{what} {said(reg_id)}")
