"""HVC and SMC: SMCCC and PSCI as the kernel answers them."""

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
from vcpu_scenario.machine.emulated.kvm import power, smcccfilter, stealtime
from vcpu_scenario.machine.emulated.kvm.firmware import VENDOR_PTP, VENDOR_UID, offers, psci_version
from vcpu_scenario.machine.emulated.kvm.inject import inject_undefined, skip_instruction
from vcpu_scenario.machine.emulated.kvm.power import INVALID_PARAMETERS
from vcpu_scenario.machine.emulated.kvm.systemevent import report
from vcpu_scenario.machine.emulated.kvm.trng import TRNG_FUNCTIONS, Answer, trng
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.emulated.kvm.wait import block
from vcpu_scenario.machine.interface import NotModelled

_NOT_SUPPORTED: Final = (1 << 64) - 1
_INTERNAL_FAILURE: Final = (1 << 64) - 6
_PSCI_TRUSTED_OS_NOT_PRESENT: Final = 2

PSCI_VERSION: Final = 0x8400_0000
PSCI_CPU_SUSPEND: Final = 0x8400_0001
PSCI_CPU_OFF: Final = 0x8400_0002
PSCI_CPU_ON: Final = 0x8400_0003
PSCI_AFFINITY_INFO: Final = 0x8400_0004
PSCI_MIGRATE_INFO_TYPE: Final = 0x8400_0006
PSCI_SYSTEM_OFF: Final = 0x8400_0008
PSCI_SYSTEM_RESET: Final = 0x8400_0009
PSCI_FEATURES: Final = 0x8400_000A
PSCI_SYSTEM_SUSPEND: Final = 0x8400_000E
PSCI_SYSTEM_RESET2: Final = 0x8400_0012
PSCI_SYSTEM_OFF2: Final = 0x8400_0015
SMCCC_64: Final = 1 << 30
_PSCI_0_1_CPU_OFF: Final = 0x95C1_BA5F
_PSCI_0_1_CPU_ON: Final = 0x95C1_BA60

SMCCC_VERSION: Final = 0x8000_0000
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
        vcpu.cpu.set_x(0, _NOT_SUPPORTED)
        return 1
    skip_instruction(vcpu)
    if behaviour.smc_is_smccc and not vcpu.cpu.hsr & 0xFFFF:
        return _call(vcpu)
    vcpu.cpu.set_x(0, _NOT_SUPPORTED)
    return 1


def _call(vcpu: Vcpu) -> int:
    function = vcpu.cpu.x(0) & 0xFFFF_FFFF
    if vcpu.vm.smccc_filter:
        action = smcccfilter.action(vcpu, function)
        if action == abi.KVM_SMCCC_FILTER_FWD_TO_USER:
            return smcccfilter.forward(vcpu, function)
        if action == abi.KVM_SMCCC_FILTER_DENY:
            return _answer(vcpu, (_NOT_SUPPORTED, 0, 0, 0))
    if (known := _ARCH.get(function)) is not None:
        return _answer(vcpu, known(vcpu))
    psci = (_PSCI if vcpu.psci_0_2 else _PSCI_0_1).get(function)
    if psci is None or not _offers(vcpu, function):
        return _answer(vcpu, (_NOT_SUPPORTED, 0, 0, 0))
    return psci(vcpu)


def _answer(vcpu: Vcpu, answer: Answer) -> int:
    """``smccc_set_retval``: since SMCCC 1.1 came, x1 to x3 are written with x0."""
    if vcpu.behaviour.smccc_results_in_x0_to_x3:
        vcpu.cpu.regs[:4] = [*answer]
    else:
        vcpu.cpu.set_x(0, answer[0])
    return 1


def _value(value: int) -> Callable[[Vcpu], int]:
    def handler(vcpu: Vcpu) -> int:
        return _answer(vcpu, (value, 0, 0, 0))

    return handler


def _offers(vcpu: Vcpu, function: int) -> bool:
    """Whether the vCPU's PSCI version has ``function``."""
    function &= ~SMCCC_64
    if function == PSCI_SYSTEM_SUSPEND and "arm_system_suspend" not in vcpu.caps:
        return False
    return psci_version(vcpu) >= _SINCE.get(function, 0)


def _psci_version(vcpu: Vcpu) -> int:
    return _answer(vcpu, (psci_version(vcpu), 0, 0, 0))


def _cpu_suspend(vcpu: Vcpu) -> int:
    """CPU_SUSPEND is a WFI; its result is written when it wakes."""
    _answer(vcpu, (0, 0, 0, 0))
    block(vcpu)
    return 1


def _cpu_off(vcpu: Vcpu) -> int:
    vcpu.mp_state = abi.KVM_MP_STATE_STOPPED
    return _answer(vcpu, (0, 0, 0, 0))


def _system_event(event: int, *data: int) -> Callable[[Vcpu], int]:
    def handler(vcpu: Vcpu) -> int:
        # The state that a guest would see if userspace resumed it anyway.
        _answer(vcpu, (_INTERNAL_FAILURE, 0, 0, 0))
        vcpu.vm.stop()
        report(vcpu, event, data or (0,))
        return 0

    return handler


def _system_suspend(vcpu: Vcpu) -> int:
    """Leaves the vCPU as it is: to suspend it is userspace's part."""
    report(vcpu, abi.KVM_SYSTEM_EVENT_SUSPEND)
    return 0


def _system_off2(vcpu: Vcpu) -> int:
    """Hibernation is the only type, and 0 stands for it."""
    if vcpu.cpu.x(1) not in (0, 1) or vcpu.cpu.x(2):
        return _answer(vcpu, (INVALID_PARAMETERS, 0, 0, 0))
    return _system_event(abi.KVM_SYSTEM_EVENT_SHUTDOWN, 1)(vcpu)


def _system_reset2(vcpu: Vcpu) -> int:
    if vcpu.cpu.x(1) & 0x8000_0000 == 0 and vcpu.cpu.x(1):
        return _answer(vcpu, (INVALID_PARAMETERS, 0, 0, 0))
    # Unlike the other events it presets x0 alone.
    vcpu.cpu.set_x(0, _INTERNAL_FAILURE)
    vcpu.vm.stop()
    report(vcpu, abi.KVM_SYSTEM_EVENT_RESET, (1,))
    return 0


def _affinity_info(vcpu: Vcpu) -> int:
    found = power.affinity_info(vcpu, _argument(vcpu, 1), _argument(vcpu, 2))
    return _answer(vcpu, (found, 0, 0, 0))


def _cpu_on(vcpu: Vcpu) -> int:
    target, entry, context = (_argument(vcpu, n) for n in (1, 2, 3))
    return _answer(vcpu, (power.cpu_on(vcpu, target, entry, context), 0, 0, 0))


def _argument(vcpu: Vcpu, n: int) -> int:
    value = vcpu.cpu.x(n)
    if vcpu.behaviour.psci_arguments_narrowed and not vcpu.cpu.x(0) & SMCCC_64:
        value &= 0xFFFF_FFFF
    return value


def _features(vcpu: Vcpu) -> int:
    asked = vcpu.cpu.x(1) & 0xFFFF_FFFF
    if asked == SMCCC_VERSION and vcpu.behaviour.smccc_1_1:
        return _answer(vcpu, (0, 0, 0, 0))
    if asked not in _PSCI or asked not in _FEATURES_KNOWS or not _offers(vcpu, asked):
        return _answer(vcpu, (_NOT_SUPPORTED, 0, 0, 0))
    hibernates = asked & ~SMCCC_64 == PSCI_SYSTEM_OFF2
    return _answer(vcpu, (int(hibernates), 0, 0, 0))


_PSCI_0_1: Final[dict[int, Callable[[Vcpu], int]]] = {
    _PSCI_0_1_CPU_OFF: _cpu_off,
    _PSCI_0_1_CPU_ON: _cpu_on,
}
_PSCI: Final[dict[int, Callable[[Vcpu], int]]] = {
    PSCI_VERSION: _psci_version,
    PSCI_CPU_SUSPEND: _cpu_suspend,
    PSCI_CPU_SUSPEND | SMCCC_64: _cpu_suspend,
    PSCI_CPU_OFF: _cpu_off,
    PSCI_CPU_ON: _cpu_on,
    PSCI_CPU_ON | SMCCC_64: _cpu_on,
    PSCI_AFFINITY_INFO: _affinity_info,
    PSCI_AFFINITY_INFO | SMCCC_64: _affinity_info,
    PSCI_MIGRATE_INFO_TYPE: _value(_PSCI_TRUSTED_OS_NOT_PRESENT),
    PSCI_SYSTEM_OFF: _system_event(abi.KVM_SYSTEM_EVENT_SHUTDOWN),
    PSCI_SYSTEM_RESET: _system_event(abi.KVM_SYSTEM_EVENT_RESET),
    PSCI_FEATURES: _features,
    PSCI_SYSTEM_SUSPEND: _system_suspend,
    PSCI_SYSTEM_SUSPEND | SMCCC_64: _system_suspend,
    PSCI_SYSTEM_RESET2: _system_reset2,
    PSCI_SYSTEM_RESET2 | SMCCC_64: _system_reset2,
    PSCI_SYSTEM_OFF2: _system_off2,
    PSCI_SYSTEM_OFF2 | SMCCC_64: _system_off2,
}
_SINCE: Final = {
    PSCI_FEATURES: 0x1_0000,
    PSCI_SYSTEM_SUSPEND: 0x1_0000,
    PSCI_SYSTEM_RESET2: 0x1_0001,
    PSCI_SYSTEM_OFF2: 0x1_0003,
}
"""The PSCI version that a function came with, as KVM has it."""
_FEATURES_KNOWS: Final = frozenset(_PSCI)


def _smccc_version(vcpu: Vcpu) -> Answer:
    if not vcpu.behaviour.smccc_1_1:
        return _NOT_SUPPORTED, 0, 0, 0
    return 0x1_0001, 0, 0, 0


def _arch_features(vcpu: Vcpu) -> Answer:
    asked = vcpu.cpu.x(1) & 0xFFFF_FFFF
    if asked == stealtime.PV_TIME_FEATURES and vcpu.behaviour.smccc_pv_time:
        return (0 if offers(vcpu, KVM_REG_ARM_STD_HYP_BMAP, 1) else _NOT_SUPPORTED), 0, 0, 0
    if known := _workaround_level(vcpu, asked):
        return known - 1, 0, 0, 0  # SMCCC_RET_SUCCESS, or SMCCC_RET_NOT_REQUIRED
    if vcpu.behaviour.smccc_features_32bit:
        return 0xFFFF_FFFF, 0, 0, 0
    return _NOT_SUPPORTED, 0, 0, 0


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
        return _NOT_SUPPORTED, 0, 0, 0
    return _VENDOR_HYP_UID_WORDS


def _vendor_features(vcpu: Vcpu) -> Answer:
    if not _vendor(vcpu, VENDOR_UID):
        return _NOT_SUPPORTED, 0, 0, 0
    if vcpu.firmware.get(KVM_REG_ARM_VENDOR_HYP_BMAP_2):
        raise NotModelled("the discovery of implementations (KVM_REG_ARM_VENDOR_HYP_BMAP_2)")
    return VENDOR_UID | VENDOR_PTP * _vendor(vcpu, VENDOR_PTP), 0, 0, 0


def _ptp(vcpu: Vcpu) -> Answer:
    """``kvm_ptp_get_time``: the host's wall clock in ns, and the counter at that time, each in two
    halves of 32 bits. As the counters are, the wall clock is the same in each run."""
    asked = vcpu.cpu.x(1) & 0xFFFF_FFFF
    if not _vendor(vcpu, VENDOR_PTP) or asked not in _PTP_TIMERS:
        return _NOT_SUPPORTED, 0, 0, 0
    timer = _PTP_TIMERS[asked](vcpu)
    count = timer.count()
    wall = _EPOCH + timer.clock.count * _NS_OF_A_TICK
    return wall >> 32, wall & 0xFFFF_FFFF, count >> 32, count & 0xFFFF_FFFF


def _pv_time(function: Callable[[Vcpu], int]) -> Callable[[Vcpu], Answer]:
    def handler(vcpu: Vcpu) -> Answer:
        if not (vcpu.behaviour.smccc_pv_time and offers(vcpu, KVM_REG_ARM_STD_HYP_BMAP, 1)):
            return _NOT_SUPPORTED, 0, 0, 0
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
