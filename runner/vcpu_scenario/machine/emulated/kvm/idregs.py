"""The ID registers: what the hardware reports, and what KVM makes of it for its guest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from errno import EBUSY, EINVAL
from typing import Final

from vcpu_scenario.machine.emulated.cpu.regfile import Encoding
from vcpu_scenario.machine.emulated.kvm.idfields import PMU, fits, makes_no_sense, writable_fields
from vcpu_scenario.machine.emulated.kvm.vcpu import Refused, Vcpu
from vcpu_scenario.machine.emulated.vgic import Vgic, VgicV2, VgicV3

CORTEX_A57: Final = 0x411F_D070
MIDR: Final = {"cortex-a57": CORTEX_A57, "cortex-a72": 0x410F_D083}
"""MIDR_EL1 of the CPUs that a lab may have, by QEMU's names. Little else tells them apart."""

_PFR0: Final = (3, 0, 0, 4, 0)
_PFR1: Final = (3, 0, 0, 1, 1)
_CSV3: Final = 1 << 60
_GIC: Final = {_PFR0: 0xF << 24, _PFR1: 0xF << 28}
_GICV3: Final = {_PFR0: 1 << 24, _PFR1: 1 << 28}

HARDWARE_ID_REGISTERS: Final[dict[Encoding, int]] = {
    (3, 0, 0, 4, 0): 0x0100_0222,  # ID_AA64PFR0_EL1
    (3, 0, 0, 4, 1): 0,
    (3, 0, 0, 4, 4): 0,  # ID_AA64ZFR0_EL1
    (3, 0, 0, 5, 0): 0x1030_5106,  # ID_AA64DFR0_EL1
    (3, 0, 0, 5, 1): 0,
    (3, 0, 0, 5, 4): 0,  # ID_AA64AFR0_EL1
    (3, 0, 0, 5, 5): 0,
    (3, 0, 0, 6, 0): 0x0001_1120,  # ID_AA64ISAR0_EL1
    (3, 0, 0, 6, 1): 0,
    (3, 0, 0, 7, 0): 0x0000_1124,  # ID_AA64MMFR0_EL1
    (3, 0, 0, 7, 1): 0,
    (3, 0, 0, 7, 2): 0,
    (3, 0, 0, 1, 0): 0x0000_0131,  # ID_PFR0_EL1
    (3, 0, 0, 1, 1): 0x1001_1001,  # ID_PFR1_EL1
    (3, 0, 0, 1, 2): 0x0301_0006,  # ID_DFR0_EL1
    (3, 0, 0, 1, 3): 0,  # ID_AFR0_EL1
    (3, 0, 0, 1, 4): 0x1010_1105,  # ID_MMFR0_EL1
    (3, 0, 0, 1, 5): 0x4000_0000,  # ID_MMFR1_EL1
    (3, 0, 0, 1, 6): 0x0126_0000,  # ID_MMFR2_EL1
    (3, 0, 0, 1, 7): 0x0210_2211,  # ID_MMFR3_EL1
    (3, 0, 0, 2, 0): 0x0210_1110,  # ID_ISAR0_EL1
    (3, 0, 0, 2, 1): 0x1311_2111,
    (3, 0, 0, 2, 2): 0x2123_2042,
    (3, 0, 0, 2, 3): 0x0111_2131,
    (3, 0, 0, 2, 4): 0x0001_1142,
    (3, 0, 0, 2, 5): 0x0001_1121,
    (3, 0, 0, 2, 6): 0,  # ID_MMFR4_EL1
    (3, 0, 0, 2, 7): 0,
    (3, 0, 0, 3, 0): 0x1011_0222,  # MVFR0_EL1
    (3, 0, 0, 3, 1): 0x1211_1111,
    (3, 0, 0, 3, 2): 0x0000_0043,
}
"""What the hardware under KVM reports: a Cortex-A57 without EL3, with a GICv3."""


def hardware_id_registers(gic: Vgic | None) -> Mapping[Encoding, int]:
    """What the hardware under a VM with ``gic`` reports: a host that can give its VM a GICv2 is
    one with a GICv2 itself."""
    return _GICV2_HOST if isinstance(gic, VgicV2) else HARDWARE_ID_REGISTERS


_GICV2_HOST: Final = HARDWARE_ID_REGISTERS | {
    encoding: HARDWARE_ID_REGISTERS[encoding] & ~field for encoding, field in _GIC.items()
}


def id_register(vcpu: Vcpu, encoding: Encoding, _value: int | None) -> int | None:
    """``access_id_reg``: the guest's view, by which writes are ignored."""
    return _hide_gic(vcpu, encoding, vcpu.id_values.get(encoding, shown(vcpu, encoding)))


def shown(vcpu: Vcpu, encoding: Encoding) -> int:
    """What KVM makes of the hardware's value, before the VMM writes another."""
    value = hardware_id_registers(vcpu.gic).get(encoding, 0)
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
    if vcpu.has_run and vcpu.behaviour.id_registers_writable:
        raise Refused(EBUSY)
    fields = writable_fields(vcpu.behaviour).get(encoding, {})
    if not fits(value, shown(vcpu, encoding), fields):
        raise Refused(EINVAL)
    vcpu.id_values[encoding] = value


def _hide_gic(vcpu: Vcpu, encoding: Encoding, value: int) -> int:
    """Since ``id_gic_hidden`` what a VM without a GICv3 shows is settled at its first run, since
    ``id_gic_shown`` also what one with it shows."""
    field = _GIC.get(encoding)
    if field is None or not vcpu.has_run or not vcpu.behaviour.id_gic_hidden:
        return value
    if not isinstance(vcpu.gic, VgicV3):
        return value & ~field
    return value & ~field | _GICV3[encoding] if vcpu.behaviour.id_gic_shown else value


def _with_csv3(vcpu: Vcpu, value: int) -> int:
    return value | _CSV3 if vcpu.behaviour.id_csv3_reported else value


def _without_pmu(field: int) -> Callable[[Vcpu, int], int]:
    def sanitise(vcpu: Vcpu, value: int) -> int:
        if not vcpu.behaviour.id_pmu_hidden:
            return value
        return value & ~field

    return sanitise


_PMU: Final = {encoding: 0xF << shift for encoding, shift in PMU.items()}
_UNREAL_PMU: Final = _PMU
"""Where all of their bits are set the PMU is of no architecture."""
_SANITISED: Final[dict[Encoding, Callable[[Vcpu, int], int]]] = {
    _PFR0: _with_csv3,
    **{encoding: _without_pmu(field) for encoding, field in _PMU.items()},
}
