"""``KVM_GET_ONE_REG``: a register is read after each exit, so each request is made once."""

from __future__ import annotations

import ctypes
import fcntl
from functools import cache

from vcpu_scenario.kvm.registers import said, size_of
from vcpu_scenario.machine.real import uapi
from vcpu_scenario.machine.real.ioctls import refusal


@cache
def _request(reg_id: int) -> tuple[uapi.kvm_one_reg, ctypes.Array[ctypes.c_uint8]]:
    """It, and where the kernel puts the value."""
    value = (ctypes.c_uint8 * size_of(reg_id))()
    return uapi.kvm_one_reg(id=reg_id, addr=ctypes.addressof(value)), value


def get(vcpu: int, reg_id: int) -> int:
    """Raises :class:`~vcpu_scenario.machine.interface.KvmError` where the kernel refuses."""
    request, value = _request(reg_id)
    try:
        fcntl.ioctl(vcpu, uapi.KVM_GET_ONE_REG, request)
    except OSError as error:
        raise refusal(error, f"KVM_GET_ONE_REG {said(reg_id)}") from None
    return int.from_bytes(value, "little")
