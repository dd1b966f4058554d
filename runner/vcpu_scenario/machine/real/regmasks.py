"""``KVM_ARM_GET_REG_WRITABLE_MASKS`` of a VM on ``/dev/kvm``."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

from vcpu_scenario.ioctls.vm import GetRegWritableMasks
from vcpu_scenario.kvm.registers import FEATURE_IDS
from vcpu_scenario.machine.errors import KvmError, Lacking
from vcpu_scenario.machine.real import uapi
from vcpu_scenario.machine.real.ioctls import call


def writable_masks(vm: int, asked: GetRegWritableMasks) -> Mapping[int, int]:
    what = "KVM_ARM_GET_REG_WRITABLE_MASKS"
    masks = (ctypes.c_uint64 * len(FEATURE_IDS))()
    request = uapi.reg_mask_range(addr=ctypes.addressof(masks), range=asked.range)
    request.reserved[:] = [asked.reserved] * len(request.reserved)
    extension = uapi.KVM_CAP_ARM_SUPPORTED_REG_MASK_RANGES
    has = call(vm, uapi.KVM_CHECK_EXTENSION, extension, what)
    try:
        call(vm, uapi.KVM_ARM_GET_REG_WRITABLE_MASKS, request, what)
    except KvmError as refused:
        if has:
            raise
        raise Lacking(refused.errno, what) from None
    return {reg: mask for reg, mask in zip(FEATURE_IDS, masks, strict=True) if mask}
