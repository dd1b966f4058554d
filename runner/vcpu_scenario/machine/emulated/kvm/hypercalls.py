"""HVC and SMC: SMCCC as the kernel answers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import (
    KVM_REG_ARM_STD_HYP_BMAP,
    KVM_REG_ARM_VENDOR_HYP_BMAP,
    KVM_REG_ARM_VENDOR_HYP_BMAP_2,
)
from vcpu_scenario.machine.emulated.cpu.timers import Timer
from vcpu_scenario.machine.emulated.kvm import smcccfilter, stealtime
from vcpu_scenario.machine.emulated.kvm.firmware import VENDOR_PTP, VENDOR_UID, offers
from vcpu_scenario.machine.emulated.kvm.inject import inject_undefined, skip_instruction
from vcpu_scenario.machine.emulated.kvm.psci import NOT_SUPPORTED, SMCCC_VERSION, answer, psci
from vcpu_scenario.machine.emulated.kvm.trng import TRNG_FUNCTIONS, Answer, trng
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.errors import NotModelled

SMCCC_ARCH_FEATURES: Final = 0x8000_0001
SMCCC_WORKAROUND_1: Final = 0x8000_8000
SMCCC_WORKAROUND_2: Final = 0x8000_7FFF
SMCCC_WORKAROUND_3: Final = 0x8000_3FFF
_VENDOR_HYP_UID: Final = 0x8600_FF01
_VENDOR_HYP_FEATURES: Final = 0x8600_0000
_VENDOR_HYP_UID_WORDS: Final = (0xB66FB428, 0xE911C52E, 0x564BCAA9, 0x743A004D)
_VENDOR_HYP_PTP: Final = 0x8600_0001
_PTP_TIMERS: Final[dict[int, Callable[[Vcpu], Timer]]] = {
    0: lambda vcpu: vcpu.cpu.timers.virtual,
    1: lambda vcpu: vcpu.cpu.timers.physical,
}
_EPOCH: Final = 1_700_000_000 * 10**9
"""When the VM is made: some time in November 2023."""
_NS_OF_A_TICK: Final = 16
"""At 62.5 MHz."""


def handle_hvc(vcpu: Vcpu) -> int:
    return _call(vcpu)


def handle_smc(vcpu: Vcpu) -> int:
    """An SMC is trapped: pc is still on it."""
    behaviour = vcpu.behaviour
    if behaviour.smc_undefined:
        inject_undefined(vcpu)
        return 1
    if behaviour.smc_not_advanced:
        vcpu.cpu.set_x(0, NOT_SUPPORTED)
        return 1
    skip_instruction(vcpu)
    if behaviour.smc_is_smccc and not vcpu.cpu.hsr & 0xFFFF:
        return _call(vcpu)
    vcpu.cpu.set_x(0, NOT_SUPPORTED)
    return 1


def _call(vcpu: Vcpu) -> int:
    function = vcpu.cpu.x(0) & 0xFFFF_FFFF
    if vcpu.vm.smccc_filter:
        action = smcccfilter.action(vcpu, function)
        if action == abi.KVM_SMCCC_FILTER_FWD_TO_USER:
            return smcccfilter.forward(vcpu, function)
        if action == abi.KVM_SMCCC_FILTER_DENY:
            return answer(vcpu, (NOT_SUPPORTED, 0, 0, 0))
    if (known := _ARCH.get(function)) is not None:
        return answer(vcpu, known(vcpu))
    return psci(vcpu, function)


def _smccc_version(vcpu: Vcpu) -> Answer:
    if not vcpu.behaviour.smccc_1_1:
        return NOT_SUPPORTED, 0, 0, 0
    return 0x1_0001, 0, 0, 0


def _arch_features(vcpu: Vcpu) -> Answer:
    asked = vcpu.cpu.x(1) & 0xFFFF_FFFF
    if asked == stealtime.PV_TIME_FEATURES and vcpu.behaviour.smccc_pv_time:
        return (0 if offers(vcpu, KVM_REG_ARM_STD_HYP_BMAP, 1) else NOT_SUPPORTED), 0, 0, 0
    if known := _workaround_level(vcpu, asked):
        return known - 1, 0, 0, 0  # SMCCC_RET_SUCCESS, or SMCCC_RET_NOT_REQUIRED
    if vcpu.behaviour.smccc_features_32bit:
        return 0xFFFF_FFFF, 0, 0, 0
    return NOT_SUPPORTED, 0, 0, 0


def _workaround_level(vcpu: Vcpu, function: int) -> int:
    """What KVM says of the workaround, as in its firmware register."""
    if function == SMCCC_WORKAROUND_1:
        return vcpu.model.workarounds[0]
    known = function == SMCCC_WORKAROUND_3 and vcpu.behaviour.smccc_workaround_3_in_hyp
    return vcpu.model.workarounds[1] if known else 0


def _vendor(vcpu: Vcpu, bits: int) -> bool:
    return vcpu.behaviour.smccc_vendor_hyp and offers(vcpu, KVM_REG_ARM_VENDOR_HYP_BMAP, bits)


def _vendor_uid(vcpu: Vcpu) -> Answer:
    if not _vendor(vcpu, VENDOR_UID):
        return NOT_SUPPORTED, 0, 0, 0
    return _VENDOR_HYP_UID_WORDS


def _vendor_features(vcpu: Vcpu) -> Answer:
    if not _vendor(vcpu, VENDOR_UID):
        return NOT_SUPPORTED, 0, 0, 0
    if vcpu.firmware.get(KVM_REG_ARM_VENDOR_HYP_BMAP_2):
        raise NotModelled("the discovery of implementations (KVM_REG_ARM_VENDOR_HYP_BMAP_2)")
    return VENDOR_UID | VENDOR_PTP * _vendor(vcpu, VENDOR_PTP), 0, 0, 0


def _ptp(vcpu: Vcpu) -> Answer:
    """``kvm_ptp_get_time``: the host's wall clock in ns, and the counter at that time, each in two
    halves of 32 bits. As the counters are, the wall clock is the same in each run."""
    asked = vcpu.cpu.x(1) & 0xFFFF_FFFF
    if not _vendor(vcpu, VENDOR_PTP) or asked not in _PTP_TIMERS:
        return NOT_SUPPORTED, 0, 0, 0
    timer = _PTP_TIMERS[asked](vcpu)
    count = timer.count()
    wall = _EPOCH + timer.clock.count * _NS_OF_A_TICK
    return wall >> 32, wall & 0xFFFF_FFFF, count >> 32, count & 0xFFFF_FFFF


def _pv_time(function: Callable[[Vcpu], int]) -> Callable[[Vcpu], Answer]:
    def handler(vcpu: Vcpu) -> Answer:
        if not (vcpu.behaviour.smccc_pv_time and offers(vcpu, KVM_REG_ARM_STD_HYP_BMAP, 1)):
            return NOT_SUPPORTED, 0, 0, 0
        return function(vcpu), 0, 0, 0

    return handler


_ARCH: Final[dict[int, Callable[[Vcpu], Answer]]] = {
    stealtime.PV_TIME_FEATURES: _pv_time(stealtime.features),
    stealtime.PV_TIME_ST: _pv_time(stealtime.record),
    SMCCC_VERSION: _smccc_version,
    SMCCC_ARCH_FEATURES: _arch_features,
    _VENDOR_HYP_UID: _vendor_uid,
    _VENDOR_HYP_FEATURES: _vendor_features,
    _VENDOR_HYP_PTP: _ptp,
    **dict.fromkeys(TRNG_FUNCTIONS, trng),
}
