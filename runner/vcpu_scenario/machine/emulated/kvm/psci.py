"""PSCI as the kernel answers it, after ``arch/arm64/kvm/psci.c``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.kvm import power
from vcpu_scenario.machine.emulated.kvm.firmware import psci_version
from vcpu_scenario.machine.emulated.kvm.power import INVALID_PARAMETERS
from vcpu_scenario.machine.emulated.kvm.systemevent import report
from vcpu_scenario.machine.emulated.kvm.trng import Answer
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.emulated.kvm.wait import block

NOT_SUPPORTED: Final = (1 << 64) - 1
_INTERNAL_FAILURE: Final = (1 << 64) - 6
_PSCI_TRUSTED_OS_NOT_PRESENT: Final = 2
SMCCC_VERSION: Final = 0x8000_0000

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
_VENDOR_TYPES: Final = 0x8000_0000
"""From here on the types of SYSTEM_RESET2 are the vendor's."""


def psci(vcpu: Vcpu, function: int) -> int:
    """``kvm_psci_call``."""
    handler = (_PSCI if vcpu.psci_0_2 else _PSCI_0_1).get(function)
    if handler is None or not _offers(vcpu, function):
        return answer(vcpu, (NOT_SUPPORTED, 0, 0, 0))
    return handler(vcpu)


def answer(vcpu: Vcpu, answer: Answer) -> int:
    """``smccc_set_retval``: since SMCCC 1.1 came, x1 to x3 are written with x0."""
    if vcpu.behaviour.smccc_results_in_x0_to_x3:
        vcpu.cpu.regs[:4] = [*answer]
    else:
        vcpu.cpu.set_x(0, answer[0])
    return 1


def _value(value: int) -> Callable[[Vcpu], int]:
    def handler(vcpu: Vcpu) -> int:
        return answer(vcpu, (value, 0, 0, 0))

    return handler


def _offers(vcpu: Vcpu, function: int) -> bool:
    """Whether the vCPU's PSCI version has ``function``."""
    function &= ~SMCCC_64
    if function == PSCI_SYSTEM_SUSPEND and "arm_system_suspend" not in vcpu.caps:
        return False
    return psci_version(vcpu) >= _SINCE.get(function, 0)


def _cpu_suspend(vcpu: Vcpu) -> int:
    """CPU_SUSPEND is a WFI; its result is written when it wakes."""
    answer(vcpu, (0, 0, 0, 0))
    block(vcpu)
    return 1


def _cpu_off(vcpu: Vcpu) -> int:
    vcpu.stop()
    return answer(vcpu, (0, 0, 0, 0))


def _system_event(event: int, *data: int) -> Callable[[Vcpu], int]:
    def handler(vcpu: Vcpu) -> int:
        # The state that a guest would see if userspace resumed it anyway.
        answer(vcpu, (_INTERNAL_FAILURE, 0, 0, 0))
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
    if _low(vcpu, 1) not in (0, 1) or vcpu.cpu.x(2):
        return answer(vcpu, (INVALID_PARAMETERS, 0, 0, 0))
    return _system_event(abi.KVM_SYSTEM_EVENT_SHUTDOWN, 1)(vcpu)


def _system_reset2(vcpu: Vcpu) -> int:
    if 0 < _low(vcpu, 1) < _VENDOR_TYPES:
        return answer(vcpu, (INVALID_PARAMETERS, 0, 0, 0))
    # Unlike the other events it presets x0 alone.
    vcpu.cpu.set_x(0, _INTERNAL_FAILURE)
    vcpu.vm.stop()
    report(vcpu, abi.KVM_SYSTEM_EVENT_RESET, (1,))
    return 0


def _affinity_info(vcpu: Vcpu) -> int:
    found = power.affinity_info(vcpu, vcpu.cpu.x(1), vcpu.cpu.x(2))
    return answer(vcpu, (found, 0, 0, 0))


def _cpu_on(vcpu: Vcpu) -> int:
    target, entry, context = (vcpu.cpu.x(n) for n in (1, 2, 3))
    return answer(vcpu, (power.cpu_on(vcpu, target, entry, context), 0, 0, 0))


def _low(vcpu: Vcpu, n: int) -> int:
    """An argument that the kernel keeps in 32 bits, by whichever function it comes."""
    return vcpu.cpu.x(n) & 0xFFFF_FFFF


def _narrowed(handler: Callable[[Vcpu], int]) -> Callable[[Vcpu], int]:
    """``kvm_psci_narrow_to_32bit``, which the guest sees where no result replaces its arguments."""

    def narrowing(vcpu: Vcpu) -> int:
        if vcpu.behaviour.psci_arguments_narrowed:
            for n in 1, 2, 3:
                vcpu.cpu.set_x(n, _low(vcpu, n))
        return handler(vcpu)

    return narrowing


def _features(vcpu: Vcpu) -> int:
    asked = _low(vcpu, 1)
    if asked == SMCCC_VERSION and vcpu.behaviour.smccc_1_1:
        return answer(vcpu, (0, 0, 0, 0))
    if asked not in _PSCI or asked not in _FEATURES_KNOWS or not _offers(vcpu, asked):
        return answer(vcpu, (NOT_SUPPORTED, 0, 0, 0))
    hibernates = asked & ~SMCCC_64 == PSCI_SYSTEM_OFF2
    return answer(vcpu, (int(hibernates), 0, 0, 0))


_PSCI_0_1: Final[dict[int, Callable[[Vcpu], int]]] = {
    _PSCI_0_1_CPU_OFF: _cpu_off,
    _PSCI_0_1_CPU_ON: _cpu_on,
}
_PSCI: Final[dict[int, Callable[[Vcpu], int]]] = {
    PSCI_VERSION: lambda vcpu: answer(vcpu, (psci_version(vcpu), 0, 0, 0)),
    PSCI_CPU_SUSPEND: _cpu_suspend,
    PSCI_CPU_SUSPEND | SMCCC_64: _cpu_suspend,
    PSCI_CPU_OFF: _cpu_off,
    PSCI_CPU_ON: _narrowed(_cpu_on),
    PSCI_CPU_ON | SMCCC_64: _cpu_on,
    PSCI_AFFINITY_INFO: _narrowed(_affinity_info),
    PSCI_AFFINITY_INFO | SMCCC_64: _affinity_info,
    PSCI_MIGRATE_INFO_TYPE: _value(_PSCI_TRUSTED_OS_NOT_PRESENT),
    PSCI_SYSTEM_OFF: _system_event(abi.KVM_SYSTEM_EVENT_SHUTDOWN),
    PSCI_SYSTEM_RESET: _system_event(abi.KVM_SYSTEM_EVENT_RESET),
    PSCI_FEATURES: _features,
    PSCI_SYSTEM_SUSPEND: _narrowed(_system_suspend),
    PSCI_SYSTEM_SUSPEND | SMCCC_64: _system_suspend,
    PSCI_SYSTEM_RESET2: _narrowed(_system_reset2),
    PSCI_SYSTEM_RESET2 | SMCCC_64: _system_reset2,
    PSCI_SYSTEM_OFF2: _narrowed(_system_off2),
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
