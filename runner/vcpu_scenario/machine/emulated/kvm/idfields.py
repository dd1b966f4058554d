"""What a VMM may write to the ID registers: of which fields KVM takes a lesser feature.

KVM knows for each field which of two values is the safe one (``arm64_ftr_safe_value``), and a
value is taken that is safe in each field, where KVM lets that field be written at all. All of it
is as Debian's kernels answered on a Cortex-A57 and a Cortex-A76, every value of every field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Final, TypeAlias

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.kernels.behaviour import Behaviour

Safe: TypeAlias = Callable[[int, int], bool]
"""Whether a field may have the first value where KVM would show the second."""
Fields: TypeAlias = Mapping[int, Safe]
"""By the field's lowest bit."""

_FIELD: Final = 0xF


def _lower(value: int, shown: int) -> bool:
    return value <= shown


def _lower_signed(value: int, shown: int) -> bool:
    return _signed(value) <= _signed(shown)


def _signed(value: int) -> int:
    return value - 16 if value & 8 else value


def _higher(value: int, shown: int) -> bool:
    return value >= shown


def _lower_but_there(value: int, shown: int) -> bool:
    """An exception level cannot be taken away."""
    return 1 <= value <= shown


def _one(value: int, _shown: int) -> bool:
    return value == 1


def _each(safe: Safe, *shifts: int) -> Fields:
    return dict.fromkeys(shifts, safe)


PMU: Final = {sysregs.ID_AA64DFR0_EL1: 8, sysregs.ID_DFR0_EL1: 24}
"""PMUVer and PerfMon: where they are."""

DEBUG_OF_ARMV8: Final = 6
"""DebugVer and CopDbg: the debug architecture of Armv8.0."""
_PMU_BEFORE_V3: Final = (1, 2)
_AARCH32: Final = (1, 2, 3)
"""CRm of its ID registers."""
_RAS, _CSV2, _CSV3 = 28, 56, 60
_EL0, _EL1 = 0, 4
_TGRAN_2: Final = (32, 36, 40)
"""ID_AA64MMFR0_EL1: granules at stage 2. 1: there is none."""

_WRITABLE: Final[Mapping[Encoding, Fields]] = {
    sysregs.ID_PFR0_EL1: _each(_lower, 0, 4, 8, 16),
    sysregs.ID_PFR1_EL1: _each(_lower, 0, 12, 16, 28),
    sysregs.ID_DFR0_EL1: _each(_lower, 0, 16),
    sysregs.ID_MMFR0_EL1: {**_each(_lower, 0, 12, 20), **_each(_lower_signed, 8, 28)},
    sysregs.ID_MMFR1_EL1: _each(_lower, 28),
    sysregs.ID_MMFR2_EL1: _each(_lower, 16, 20, 24),
    sysregs.ID_MMFR3_EL1: _each(_lower, 0, 4, 8, 12, 16, 20, 24),
    sysregs.ID_ISAR0_EL1: _each(_lower, 4, 8, 12, 20, 24),
    sysregs.ID_ISAR1_EL1: _each(_lower, 0, 4, 8, 12, 16, 20, 24, 28),
    sysregs.ID_ISAR2_EL1: _each(_lower, 0, 4, 12, 16, 20, 24, 28),
    sysregs.ID_ISAR3_EL1: _each(_lower, 0, 4, 8, 12, 16, 20, 24),
    sysregs.ID_ISAR4_EL1: _each(_lower, 0, 4, 8, 12, 16),
    sysregs.ID_ISAR5_EL1: _each(_lower, 0, 4, 8, 12, 16, 24),
    sysregs.ID_MMFR4_EL1: {**_each(_higher, 0), **_each(_lower, 4, 8, 12, 16)},
    sysregs.ID_ISAR6_EL1: _each(_lower, 4),
    sysregs.ID_PFR2_EL1: _each(_lower, 0, 4),
    sysregs.MVFR0_EL1: _each(_lower, 0, 4, 8, 16, 20, 28),
    sysregs.MVFR1_EL1: _each(_lower, 0, 4, 8, 12, 16, 20, 24, 28),
    sysregs.MVFR2_EL1: _each(_lower, 0, 4),
    sysregs.ID_AA64PFR0_EL1: _each(_lower, _EL0, _EL1, 8, 24, _CSV2, _CSV3),
    sysregs.ID_AA64DFR0_EL1: {**_each(_lower, 0, 20), **_each(_lower_signed, 36)},
    sysregs.ID_AA64ISAR0_EL1: _each(_lower, 4, 8, 12, 16, 20, 28, 44),
    sysregs.ID_AA64MMFR0_EL1: {**_each(_lower, 0, 8, 12, 20), **_each(_lower_signed, 24, 28)},
    sysregs.ID_AA64PFR1_EL1: _each(_lower, 4),
    sysregs.ID_AA64ISAR1_EL1: _each(_lower, 0, 20),
    sysregs.ID_AA64MMFR1_EL1: {**_each(_higher, 24), **_each(_lower, 0, 12, 16, 20)},
    sysregs.ID_AA64MMFR2_EL1: _each(_lower, 0, 4, 12),
}


def _lower_in_its_first_bit(value: int, shown: int) -> bool:
    return value == shown & ~1


_CTR_FIELDS: Final = {**_each(_lower, 0, 16), 28: _lower_in_its_first_bit}
"""IminLine, DminLine, and IDC."""
_L1IP: Final = 14
_VIPT: Final = 2


@lru_cache(maxsize=128)
def writable_fields(behaviour: Behaviour) -> Mapping[Encoding, Fields]:
    """Of each register of which a VMM may write some."""
    return dict(_writable_fields(behaviour))


def _writable_fields(behaviour: Behaviour) -> Iterator[tuple[Encoding, Fields]]:
    if not behaviour.id_registers_writable:
        shown = (_CSV2, _CSV3) if behaviour.id_csv3_reported else (_CSV2,)
        yield sysregs.ID_AA64PFR0_EL1, _each(_lower, *shown)
    for encoding, fields in _WRITABLE.items():
        of_aarch32 = encoding[3] in _AARCH32
        if behaviour.aarch32_id_writable if of_aarch32 else behaviour.id_registers_writable:
            yield encoding, fields
    if behaviour.id_pmu_signed:
        for encoding, field in PMU.items():
            rest = (
                _WRITABLE[encoding]
                if behaviour.aarch32_id_writable or encoding == sysregs.ID_AA64DFR0_EL1
                else {}
            )
            yield encoding, {**rest, **_each(_lower_signed, field)}
    if behaviour.id_levels_stay:
        yield (
            sysregs.ID_AA64PFR0_EL1,
            {
                **_WRITABLE[sysregs.ID_AA64PFR0_EL1],
                **_each(_lower_but_there, _EL0, _EL1),
                **_each(_lower, *((_RAS,) if behaviour.id_ras_writable else ())),
            },
        )
    if behaviour.id_stage_2_granules_writable:
        yield (
            sysregs.ID_AA64MMFR0_EL1,
            {**_WRITABLE[sysregs.ID_AA64MMFR0_EL1], **_each(_one, *_TGRAN_2)},
        )


def makes_no_sense(encoding: Encoding, value: int, behaviour: Behaviour) -> bool:
    """Whether KVM looks no further: no CPU says so, or none that it runs on."""
    if not behaviour.id_registers_writable:
        return False
    low = value & _FIELD
    if encoding == sysregs.ID_AA64DFR0_EL1:
        return low < DEBUG_OF_ARMV8
    if encoding == sysregs.ID_DFR0_EL1:
        return low < DEBUG_OF_ARMV8 or value >> PMU[sysregs.ID_DFR0_EL1] & _FIELD in _PMU_BEFORE_V3
    if encoding == sysregs.ID_AA64PFR0_EL1 and behaviour.id_levels_stay:
        return not low or not value >> _EL1 & _FIELD
    return (
        encoding == sysregs.CTR_EL0 and behaviour.ctr_policy_writable and value >> _L1IP & 3 < _VIPT
    )


def ctr_fits(value: int, shown: int, behaviour: Behaviour) -> bool:
    """Whether CTR_EL0 may be ``value``."""
    policy = value >> _L1IP & 3
    if behaviour.ctr_policy_writable and policy == _VIPT:
        value |= shown & 3 << _L1IP
    return fits(value, shown, _CTR_FIELDS)


def fits(value: int, shown: int, fields: Fields) -> bool:
    """Whether ``value`` differs from what KVM would show only where it may."""
    for shift, safe in fields.items():
        held, limit = value >> shift & _FIELD, shown >> shift & _FIELD
        if held != limit and not safe(held, limit):
            return False
        value ^= (held ^ limit) << shift
    return value == shown
