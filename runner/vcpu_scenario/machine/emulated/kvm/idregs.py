"""The ID registers: what the hardware reports, and what KVM makes of it for its guest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from errno import EBUSY, EINVAL
from functools import cache
from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.cpumodels import CPUS, CpuModel
from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.machine.emulated.kvm.idfields import (
    DEBUG_OF_ARMV8,
    PMU,
    fits,
    makes_no_sense,
    writable_fields,
)
from vcpu_scenario.machine.emulated.kvm.vcpu import Refused, Vcpu
from vcpu_scenario.machine.emulated.vgic import Vgic, VgicV2, VgicV3
from vcpu_scenario.machine.errors import NotModelled

_CSV3: Final = 1 << 60
_GIC: Final = {sysregs.ID_AA64PFR0_EL1: 0xF << 24, sysregs.ID_PFR1_EL1: 0xF << 28}
_GICV3: Final = {sysregs.ID_AA64PFR0_EL1: 1 << 24, sysregs.ID_PFR1_EL1: 1 << 28}


def hardware_id_registers(model: CpuModel, gic: Vgic | None) -> Mapping[Encoding, int]:
    """What the hardware under a VM with ``gic`` reports: a host that can give its VM a GICv2 is
    one with a GICv2 itself."""
    return _with_gicv2(model.name) if isinstance(gic, VgicV2) else model.id_registers


@cache
def _with_gicv2(cpu: str) -> Mapping[Encoding, int]:
    registers = CPUS[cpu].id_registers
    return {**registers, **{of: registers[of] & ~field for of, field in _GIC.items()}}


def identify(vcpu: Vcpu) -> None:
    """Lets the guest read the hardware's ID registers where nothing traps that."""
    if not vcpu.behaviour.id_registers_trapped:
        vcpu.cpu.id_registers = hardware_id_registers(vcpu.model, vcpu.gic)


def id_register(vcpu: Vcpu, encoding: Encoding, _value: int | None) -> int | None:
    """``access_id_reg``: the guest's view, by which writes are ignored."""
    value = vcpu.id_values.get(encoding)
    return _hide_gic(vcpu, encoding, shown(vcpu, encoding) if value is None else value)


def shown(vcpu: Vcpu, encoding: Encoding) -> int:
    """What KVM makes of the hardware's value, before the VMM writes another."""
    value = hardware_id_registers(vcpu.model, vcpu.gic).get(encoding, 0)
    sanitise = _SANITISED.get(encoding)
    return value if sanitise is None else sanitise(vcpu, value)


def set_id_register(vcpu: Vcpu, encoding: Encoding, value: int) -> None:
    """``set_id_reg``."""
    hidden = _UNREAL_PMU.get(encoding) if vcpu.behaviour.id_registers_writable else None
    if hidden is not None and value & hidden == hidden:
        value &= ~hidden  # an implementation defined PMU, which KVM once showed and now takes back
    held = id_register(vcpu, encoding, None)
    if value == held:
        return
    if makes_no_sense(encoding, value, vcpu.behaviour):
        raise Refused(EINVAL)
    if vcpu.vm.has_run and vcpu.behaviour.id_registers_writable:
        raise Refused(EBUSY)
    of_pmu = (value ^ shown(vcpu, encoding)) & _PMU.get(encoding, 0)
    if of_pmu and vcpu.pmu is not None and vcpu.behaviour.id_registers_writable:
        raise NotModelled("PMUVer or PerfMon of a vCPU with a PMU that is written")
    fields = writable_fields(vcpu.behaviour).get(encoding, {})
    if not fits(value, shown(vcpu, encoding), fields):
        raise Refused(EINVAL)
    vcpu.id_values[encoding] = value


IMPLEMENTATION_IDS: Final = (sysregs.MIDR_EL1, sysregs.REVIDR_EL1, sysregs.AIDR_EL1)
"""What tells one implementation of a CPU from another."""
_MIDR_BITS: Final = 32


def implementation_id(vcpu: Vcpu, encoding: Encoding, _value: int | None = None) -> int:
    """``access_imp_id_reg``: the CPU's, or what the VMM wrote."""
    shown = vcpu.model.midr if encoding == sysregs.MIDR_EL1 else 0
    return vcpu.id_values.get(encoding, shown)


def set_implementation_id(vcpu: Vcpu, encoding: Encoding, value: int) -> None:
    """``set_imp_id_reg``."""
    if value == implementation_id(vcpu, encoding):
        return
    if "arm_writable_imp_id_regs" not in vcpu.caps:
        raise Refused(EINVAL)
    if vcpu.vm.has_run:
        raise Refused(EBUSY)
    if encoding == sysregs.MIDR_EL1:
        if value >> _MIDR_BITS:
            raise Refused(EINVAL)
        if len(vcpu.vm.vcpus) > 1:
            raise NotModelled("another MIDR_EL1 of several vCPUs")
        vcpu.cpu.engine.write_sys(sysregs.VPIDR_EL2, value)
    vcpu.id_values[encoding] = value


def _hide_gic(vcpu: Vcpu, encoding: Encoding, value: int) -> int:
    """Since ``id_gic_hidden`` what a VM without a GICv3 shows is settled at its first run, since
    ``id_gic_shown`` also what one with it shows."""
    field = _GIC.get(encoding)
    if field is None or not vcpu.vm.has_run or not vcpu.behaviour.id_gic_hidden:
        return value
    if not isinstance(vcpu.gic, VgicV3):
        return value & ~field
    return value & ~field | _GICV3[encoding] if vcpu.behaviour.id_gic_shown else value


def _with_csv3(vcpu: Vcpu, value: int) -> int:
    return value | _CSV3 if vcpu.behaviour.id_csv3_reported else value


def _without_pmu(field: int) -> Callable[[Vcpu, int], int]:
    def sanitise(vcpu: Vcpu, value: int) -> int:
        if vcpu.pmu is not None or not vcpu.behaviour.id_pmu_hidden:
            return value
        return value & ~field

    return sanitise


def _debug_version(vcpu: Vcpu, value: int) -> int:
    value = _SANITISED_PMU[sysregs.ID_AA64DFR0_EL1](vcpu, value)
    if vcpu.behaviour.id_debug_limited and value & 0xF > DEBUG_OF_ARMV8:
        return value & ~0xF | DEBUG_OF_ARMV8
    return value


_PMU: Final = {encoding: 0xF << shift for encoding, shift in PMU.items()}
_UNREAL_PMU: Final = _PMU
"""Where all of their bits are set the PMU is of no architecture."""
_SANITISED_PMU: Final = {encoding: _without_pmu(field) for encoding, field in _PMU.items()}
_SANITISED: Final[dict[Encoding, Callable[[Vcpu, int], int]]] = {
    **_SANITISED_PMU,
    sysregs.ID_AA64PFR0_EL1: _with_csv3,
    sysregs.ID_AA64DFR0_EL1: _debug_version,
}
