"""Capabilities of a VM: asked after, enabled, and told of where a refusal is for want of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from vcpu_scenario.ioctls.vm import EnableCap
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.errors import KvmError, Lacking, Unsupported, enabling
from vcpu_scenario.machine.real import uapi
from vcpu_scenario.machine.real.ioctls import call

_CAPABILITIES: Final = {
    "arm_nisv_to_user": (abi.KVM_CAP_ARM_NISV_TO_USER, "nisv"),
    "arm_system_suspend": (abi.KVM_CAP_ARM_SYSTEM_SUSPEND, "system_suspend"),
    "arm_writable_imp_id_regs": (
        abi.KVM_CAP_ARM_WRITABLE_IMP_ID_REGS,
        "writable_imp_id_regs",
    ),
    "manual_dirty_log_protect2": (
        abi.KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
        "manual_dirty_log_protect2",
    ),
}

_ARGUMENTS: Final = {"manual_dirty_log_protect2": abi.KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE}


def has(vm: int, number: int, name: str) -> bool:
    """``KVM_CHECK_EXTENSION`` of ``number``; ``name`` is what an error calls it."""
    return call(vm, uapi.KVM_CHECK_EXTENSION, number, name) > 0


@contextmanager
def needed(vm: int, numbers: Mapping[str, int]) -> Iterator[None]:
    """A refusal in it is :class:`Lacking` where the host does not have one of these at all."""
    try:
        yield
    except KvmError as refused:
        for name, number in numbers.items():
            if not has(vm, number, name):
                raise Lacking(refused.errno, name) from None
        raise


def enable(vm: int, cap: str) -> None:
    """``KVM_ENABLE_CAP`` of one by the name that cases have for it."""
    known = _CAPABILITIES.get(cap)
    if known is None:
        raise Unsupported(f"no capability is called {cap!r}")
    number, name = known
    request = uapi.kvm_enable_cap(cap=number)
    request.args[0] = _ARGUMENTS.get(cap, 0)
    call(vm, uapi.KVM_ENABLE_CAP, request, enabling(name))


def ask_for(vm: int, asked: EnableCap) -> None:
    """The same by its number."""
    request = uapi.kvm_enable_cap(cap=asked.cap, flags=asked.flags)
    request.args[0] = asked.arg
    call(vm, uapi.KVM_ENABLE_CAP, request, f"KVM_ENABLE_CAP {asked.cap}")
