"""The TRNG hypercalls (Arm DEN0098), as KVM answers them.

No two kernels agree on what is random: here it is the same bits in each run of a guest.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final, TypeAlias

from vcpu_scenario.kvm.registers import KVM_REG_ARM_STD_BMAP
from vcpu_scenario.machine.emulated.kvm.firmware import offers
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu

Answer: TypeAlias = tuple[int, int, int, int]
"""x0 to x3."""

_NOT_SUPPORTED: Final = (1 << 64) - 1
_INVALID_PARAMETERS: Final = (1 << 64) - 2

_VERSION: Final = 0x8400_0050
_FEATURES: Final = 0x8400_0051
_GET_UUID: Final = 0x8400_0052
_RND32: Final = 0x8400_0053
_RND64: Final = 0xC400_0053
TRNG_FUNCTIONS: Final = (_VERSION, _FEATURES, _GET_UUID, _RND32, _RND64)

_1_0: Final = 0x1_0000
_UUID: Final = (0x00E0_210D, 0xEB11_8443, 0x4452_7080, 0x4C5A_4E55)


def trng(vcpu: Vcpu) -> Answer:
    """``kvm_trng_call``."""
    if not vcpu.behaviour.smccc_trng or not offers(vcpu, KVM_REG_ARM_STD_BMAP, 1):
        return _NOT_SUPPORTED, 0, 0, 0
    function = vcpu.cpu.x(0) & 0xFFFF_FFFF
    if function == _VERSION:
        return _1_0, 0, 0, 0
    if function == _FEATURES:
        there = vcpu.cpu.x(1) & 0xFFFF_FFFF in TRNG_FUNCTIONS
        return 0 if there else _NOT_SUPPORTED, 0, 0, 0
    if function == _GET_UUID:
        return _UUID
    return _random(vcpu, 32 if function == _RND32 else 64)


def _random(vcpu: Vcpu, size: int) -> Answer:
    """As many bits as x1 asks for, the lowest in x3, in registers of ``size`` bits."""
    wanted = vcpu.cpu.x(1) & 0xFFFF_FFFF
    if wanted > 3 * size:
        return _INVALID_PARAMETERS, 0, 0, 0
    vcpu.random_calls += 1
    digest = sha256(vcpu.random_calls.to_bytes(8, "little")).digest()
    bits = int.from_bytes(digest, "little") & (1 << wanted) - 1
    low, mid, high = (bits >> n * size & (1 << size) - 1 for n in range(3))
    return 0, high, mid, low
