"""``KVM_GET_ONE_REG`` and ``KVM_SET_ONE_REG``: which registers a vCPU has for its VMM."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from errno import EINVAL
from functools import lru_cache
from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.kvm.registers import CORE_REGISTERS, FP_REGISTERS, sys_reg
from vcpu_scenario.machine.emulated.kvm import cacheregs, corewords, pmuregs
from vcpu_scenario.machine.emulated.kvm.access import Access, kept, kept_of, system
from vcpu_scenario.machine.emulated.kvm.coreregs import CORE, FP
from vcpu_scenario.machine.emulated.kvm.firmware import firmware_registers
from vcpu_scenario.machine.emulated.kvm.guestdebug import OSLK
from vcpu_scenario.machine.emulated.kvm.idregs import (
    IMPLEMENTATION_IDS,
    id_register,
    implementation_id,
    set_id_register,
    set_implementation_id,
)
from vcpu_scenario.machine.emulated.kvm.reglist import IDENTITIES, absent
from vcpu_scenario.machine.emulated.kvm.sysregs import RESET_VALUES
from vcpu_scenario.machine.emulated.kvm.timerregs import timer_registers
from vcpu_scenario.machine.emulated.kvm.vcpu import UNKNOWN_RESET, Refused, Vcpu


@lru_cache(maxsize=128)
def registers_of(behaviour: Behaviour, *, pmu: bool = False) -> Mapping[int, Access]:
    """The registers of a vCPU by their ids, of one that has a PMU or has none."""
    table = dict(_registers_of(behaviour))
    if not behaviour.core_ids_checked:
        table |= corewords.every(table)
    if pmu:
        table |= sorted(pmuregs.registers(behaviour))
    for encoding in absent(behaviour):
        table.pop(sys_reg(*encoding), None)
    return table | {reg: _unloaded(reg, table[reg]) for reg in PARTLY_KEPT & table.keys()}


def _registers_of(behaviour: Behaviour) -> Iterator[tuple[int, Access]]:
    yield from CORE.items()
    yield from FP.items()
    yield from firmware_registers(behaviour)
    yield from timer_registers(behaviour)
    yield from _SYSTEM.items()
    yield from _all_kept(_KEPT.items())
    if not behaviour.pmu_undefined:
        yield sys_reg(*sysregs.PMCR_EL0), kept_of(sysregs.PMCR_EL0, lambda cpu: cpu.pmcr | _PMCR)
        yield from _all_kept(_pmu())
    if behaviour.permission_registers_listed:
        yield from _all_kept(_PERMISSION.items())
    if behaviour.os_lock_emulated:
        yield sys_reg(*sysregs.OSLSR_EL1), (lambda vcpu: vcpu.oslsr, _set_oslsr)
    yield from cacheregs.registers(behaviour)


def _all_kept(resets: Iterable[tuple[Encoding, int]]) -> Iterator[tuple[int, Access]]:
    return ((sys_reg(*encoding), kept(encoding, value)) for encoding, value in resets)


def _unloaded(reg: int, access: Access) -> Access:
    """A register of which the CPU does not keep every bit."""
    of_cpu, to_cpu = access

    def read(vcpu: Vcpu) -> int:
        written = vcpu.unloaded.get(reg)
        return of_cpu(vcpu) if written is None else written

    def write(vcpu: Vcpu, value: int) -> None:
        to_cpu(vcpu, value)
        vcpu.unloaded[reg] = value

    return read, write


def _implementation(encoding: Encoding) -> Access:
    return (
        lambda vcpu: implementation_id(vcpu, encoding),
        lambda vcpu, value: set_implementation_id(vcpu, encoding, value),
    )


def _identity(encoding: Encoding) -> Access:
    return (
        lambda vcpu: id_register(vcpu, encoding, None) or 0,
        lambda vcpu, value: set_id_register(vcpu, encoding, value),
    )


def _set_mpidr(vcpu: Vcpu, value: int) -> None:
    vcpu.mpidr = value
    vcpu.cpu.engine.write_sys(sysregs.VMPIDR_EL2, value)


def _set_mdscr(vcpu: Vcpu, value: int) -> None:
    vcpu.guest_mdscr = value
    vcpu.debug_changed = True


def _set_mdccint(vcpu: Vcpu, value: int) -> None:
    vcpu.mdccint = value


def _set_oslsr(vcpu: Vcpu, value: int) -> None:
    if (value ^ vcpu.oslsr) & ~OSLK:
        raise Refused(EINVAL)
    vcpu.oslsr = value
    vcpu.debug_changed = True


def _bank(of: Callable[[Vcpu], list[int]], n: int) -> Access:
    def write(vcpu: Vcpu, value: int) -> None:
        of(vcpu)[n] = value
        vcpu.debug_changed = True

    return lambda vcpu: of(vcpu)[n], write


def _pmu() -> Iterator[tuple[Encoding, int]]:
    """The PMU of a vCPU without one, as long as KVM showed it: nobody counts."""
    yield from (((3, 3, 9, 12, op2), UNKNOWN_RESET) for op2 in range(1, 6))
    yield sysregs.PMCCNTR_EL0, UNKNOWN_RESET
    yield sysregs.PMUSERENR_EL0, 0
    yield sysregs.PMOVSSET_EL0, UNKNOWN_RESET
    yield from (((3, 0, 9, 14, op2), UNKNOWN_RESET) for op2 in (1, 2))
    for first in (8, 12):  # PMEVCNTR0_EL0 to 30, PMEVTYPER0_EL0 to 30
        for n in range(31):
            yield (3, 3, 14, first + n // 8, n % 8), UNKNOWN_RESET
    yield sysregs.PMCCFILTR_EL0, 0


_PMCR: Final = 0xAC
_KEPT: Final[Mapping[Encoding, int]] = {
    sysregs.DBGVCR32_EL2: 0,
    sysregs.ACTLR_EL1: 0,
    sysregs.DISR_EL1: 0,
    sysregs.DACR32_EL2: UNKNOWN_RESET,
    sysregs.IFSR32_EL2: UNKNOWN_RESET,
    sysregs.FPEXC32_EL2: 0x700,
}
_PERMISSION: Final[Mapping[Encoding, int]] = {
    sysregs.TCR2_EL1: 0,
    sysregs.PIRE0_EL1: UNKNOWN_RESET,
    sysregs.PIR_EL1: UNKNOWN_RESET,
}
_BANKS: Final[tuple[tuple[Sequence[Encoding], Callable[[Vcpu], list[int]]], ...]] = (
    (sysregs.DBGBVR_EL1, lambda vcpu: vcpu.guest_bvr),
    (sysregs.DBGBCR_EL1, lambda vcpu: vcpu.guest_bcr),
    (sysregs.DBGWVR_EL1, lambda vcpu: vcpu.guest_wvr),
    (sysregs.DBGWCR_EL1, lambda vcpu: vcpu.guest_wcr),
)
_ELSEWHERE: Final = {sysregs.ELR_EL1, sysregs.SPSR_EL1, sysregs.CSSELR_EL1}
"""Of the registers that have a value at reset, those that have another id or a way of their own."""
_SYSTEM: Final[dict[int, Access]] = {
    **{
        sys_reg(*encoding): system(encoding)
        for encoding in RESET_VALUES
        if encoding not in _ELSEWHERE
    },
    **{sys_reg(*encoding): _identity(encoding) for encoding in IDENTITIES},
    sys_reg(*sysregs.MPIDR_EL1): (lambda vcpu: vcpu.mpidr, _set_mpidr),
    **{sys_reg(*encoding): _implementation(encoding) for encoding in IMPLEMENTATION_IDS},
    sys_reg(*sysregs.MDCCINT_EL1): (lambda vcpu: vcpu.mdccint, _set_mdccint),
    sys_reg(*sysregs.MDSCR_EL1): (lambda vcpu: vcpu.guest_mdscr, _set_mdscr),
    **{sys_reg(*each): _bank(of, n) for bank, of in _BANKS for n, each in enumerate(bank)},
}
PARTLY_KEPT: Final = frozenset(
    {
        CORE_REGISTERS["pstate"],
        FP_REGISTERS["fpsr"],
        FP_REGISTERS["fpcr"],
        sys_reg(*sysregs.AFSR0_EL1),
        sys_reg(*sysregs.AFSR1_EL1),
        sys_reg(*sysregs.AMAIR_EL1),
        sys_reg(*sysregs.VBAR_EL1),
        sys_reg(*sysregs.CSSELR_EL1),
    }
)
"""Of these the CPU keeps less than KVM does."""


def reset_unloaded(vcpu: Vcpu) -> None:
    """What KVM resets these registers to, before the vCPU first runs."""
    vcpu.unloaded.update(_UNKNOWN_AT_RESET)


_UNKNOWN_AT_RESET: Final = dict.fromkeys(
    (sys_reg(*sysregs.CSSELR_EL1), sys_reg(*sysregs.AFSR0_EL1), sys_reg(*sysregs.AFSR1_EL1)),
    UNKNOWN_RESET,
)
