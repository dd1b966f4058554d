"""The PMU's registers: what KVM does where the guest's access traps, and what a VMM reads and
writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from errno import EINVAL
from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.kvm.registers import sys_reg
from vcpu_scenario.machine.emulated.kvm.access import Access
from vcpu_scenario.machine.emulated.kvm.inject import inject_undefined
from vcpu_scenario.machine.emulated.kvm.pmu import CYCLES, N_MASK, N_SHIFT, PMCR_C, PMCR_P, Pmu
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu

_EN, _SW, _CR, _ER = 1, 2, 4, 8
"""PMUSERENR_EL0: what EL0 may do."""
_USER_ENABLE: Final = 0xF
_CONTROL: Final = 0xFF
_SELECTED: Final = 0x1F
_WORD: Final = 0xFFFF_FFFF

Guest = Callable[[Pmu, int | None], int | None]
"""Reads where the value is None, else writes it."""


class _Undefined(Exception):
    """The guest takes an UNDEFINED exception."""


# -- the guest ------------------------------------------------------------------------------------


def access(vcpu: Vcpu, encoding: Encoding, value: int | None) -> int | None:
    """An access that trapped. Where a vCPU runs whose PMU is not initialised there is nothing."""
    pmu = vcpu.pmu
    assert pmu is not None
    if not pmu.created:
        return 0
    try:
        needed, of_guest = _GUEST[encoding]
        if needed and not vcpu.cpu.current_el and not pmu.user_enable & needed:
            raise _Undefined
        if encoding == sysregs.PMUSERENR_EL0 and value is not None and not vcpu.cpu.current_el:
            raise _Undefined
        pmu.fold()
        return of_guest(pmu, value)
    except (_Undefined, KeyError):
        if value is not None:  # of a read whoever asks for it does
            inject_undefined(vcpu)
        return None
    finally:
        pmu.load()


def _control(pmu: Pmu, value: int | None) -> int | None:
    if value is None:
        return pmu.shown_control & ~(PMCR_P | PMCR_C)
    pmu.control(pmu.pmcr & ~_CONTROL | value & _CONTROL)
    return None


def _flags(name: str, *, sets: bool) -> Guest:
    """``sets`` or clears the bits that are written, of counters that there are."""

    def access_flags(pmu: Pmu, value: int | None) -> int | None:
        held: int = getattr(pmu, name)
        if value is None:
            return held & pmu.read_mask
        value &= pmu.mask
        setattr(pmu, name, held | value if sets else held & ~value)
        if name == "enabled":
            pmu.backing.switched(value, on=sets)
        return None

    return access_flags


def _select(pmu: Pmu, value: int | None) -> int | None:
    if value is None:
        return pmu.selected & _SELECTED
    pmu.selected = value
    return None


def _common_events(pmu: Pmu, value: int | None) -> int | None:
    if value is not None:
        raise _Undefined
    return pmu.shown_events


def _no_events(pmu: Pmu, value: int | None) -> int | None:
    if value is not None:
        raise _Undefined
    return 0


def _increment(pmu: Pmu, value: int | None) -> int | None:
    if value is None:
        raise _Undefined
    pmu.increment(value & pmu.mask)
    return None


def _user_enable(pmu: Pmu, value: int | None) -> int | None:
    if value is None:
        return pmu.user_enable
    pmu.user_enable = value & _USER_ENABLE
    return None


def _counter(index: int | None) -> Guest:
    """Of a number, or of PMSELR_EL0's."""

    def access_counter(pmu: Pmu, value: int | None) -> int | None:
        at = _there(pmu, index)
        if value is None:
            return pmu.value(at)
        pmu.write(at, value)
        return None

    return access_counter


def _type(index: int | None) -> Guest:
    def access_type(pmu: Pmu, value: int | None) -> int | None:
        at = _there(pmu, index)
        if value is None:
            return pmu.types[at] & pmu.type_mask
        pmu.set_type(at, value)
        return None

    return access_type


def _there(pmu: Pmu, index: int | None) -> int:
    at = pmu.selected & _SELECTED if index is None else index
    if not pmu.has(at):
        raise _Undefined
    return at


_GUEST: Final[dict[Encoding, tuple[int, Guest]]] = {
    sysregs.PMCR_EL0: (_EN, _control),
    sysregs.PMCNTENSET_EL0: (_EN, _flags("enabled", sets=True)),
    sysregs.PMCNTENCLR_EL0: (_EN, _flags("enabled", sets=False)),
    sysregs.PMOVSCLR_EL0: (_EN, _flags("overflowed", sets=False)),
    sysregs.PMOVSSET_EL0: (_EN, _flags("overflowed", sets=True)),
    sysregs.PMINTENSET_EL1: (0, _flags("interrupts", sets=True)),
    sysregs.PMINTENCLR_EL1: (0, _flags("interrupts", sets=False)),
    sysregs.PMSWINC_EL0: (_SW | _EN, _increment),
    sysregs.PMSELR_EL0: (_ER | _EN, _select),
    sysregs.PMCEID0_EL0: (_EN, _common_events),
    sysregs.PMCEID1_EL0: (_EN, _no_events),
    sysregs.PMCCNTR_EL0: (_CR | _EN, _counter(CYCLES)),
    sysregs.PMXEVTYPER_EL0: (_EN, _type(None)),
    sysregs.PMXEVCNTR_EL0: (_ER | _EN, _counter(None)),
    sysregs.PMUSERENR_EL0: (0, _user_enable),
    sysregs.PMCCFILTR_EL0: (_EN, _type(CYCLES)),
    **{each: (_ER | _EN, _counter(n)) for n, each in enumerate(sysregs.PMEVCNTR_EL0)},
    **{each: (_EN, _type(n)) for n, each in enumerate(sysregs.PMEVTYPER_EL0)},
}
"""Each with the bits of PMUSERENR_EL0 that let EL0 have it, 0 where none has to."""


# -- the VMM --------------------------------------------------------------------------------------


def registers(behaviour: Behaviour) -> Iterator[tuple[int, Access]]:
    """The registers of a vCPU that has a PMU."""
    own = behaviour.pmu_limits_writable
    yield sys_reg(*sysregs.PMCR_EL0), (_of("shown_control"), _set_control if own else _raw("pmcr"))
    for name, sets, clears in _PAIRS:
        for encoding, is_set in ((sets, True), (clears, False)):
            yield sys_reg(*encoding), (_flags_of(name), _set_flags(behaviour, name, is_set))
    narrow = behaviour.pmu_registers_narrow
    yield (
        sys_reg(*sysregs.PMSWINC_EL0),
        (_of("increments"), _ignored if narrow else _raw("increments")),
    )
    yield sys_reg(*sysregs.PMSELR_EL0), (_of("selected"), _raw("selected"))
    yield sys_reg(*sysregs.PMUSERENR_EL0), (_of("user_enable"), _raw("user_enable"))
    yield sys_reg(*sysregs.PMCCNTR_EL0), _placed("values", CYCLES, -1)
    for n, encoding in enumerate(sysregs.PMEVCNTR_EL0):
        yield sys_reg(*encoding), _placed("values", n, _WORD if narrow else -1)
    for n, encoding in enumerate(sysregs.PMEVTYPER_EL0):
        yield sys_reg(*encoding), _placed("types", n, -1)
    yield sys_reg(*sysregs.PMCCFILTR_EL0), _placed("types", CYCLES, -1)


_PAIRS: Final = (
    ("enabled", sysregs.PMCNTENSET_EL0, sysregs.PMCNTENCLR_EL0),
    ("overflowed", sysregs.PMOVSSET_EL0, sysregs.PMOVSCLR_EL0),
    ("interrupts", sysregs.PMINTENSET_EL1, sysregs.PMINTENCLR_EL1),
)


def _pmu(vcpu: Vcpu) -> Pmu:
    assert vcpu.pmu is not None
    vcpu.pmu.fold()
    return vcpu.pmu


def _of(name: str) -> Callable[[Vcpu], int]:
    def read(vcpu: Vcpu) -> int:
        found: int = getattr(_pmu(vcpu), name)
        return found

    return read


def _flags_of(name: str) -> Callable[[Vcpu], int]:
    def read(vcpu: Vcpu) -> int:
        pmu = _pmu(vcpu)
        held: int = getattr(pmu, name)
        return held & pmu.mask if vcpu.behaviour.pmu_limits_writable else held

    return read


def _raw(name: str) -> Callable[[Vcpu, int], None]:
    def write(vcpu: Vcpu, value: int) -> None:
        setattr(_pmu(vcpu), name, value)
        _pmu(vcpu).load()

    return write


def _ignored(_vcpu: Vcpu, _value: int) -> None:
    pass


def _placed(name: str, index: int, mask: int) -> Access:
    def write(vcpu: Vcpu, value: int) -> None:
        getattr(_pmu(vcpu), name)[index] = value & mask
        _pmu(vcpu).load()

    return lambda vcpu: getattr(_pmu(vcpu), name)[index], write


def _set_control(vcpu: Vcpu, value: int) -> None:
    """``set_pmcr``: a VMM may take counters away before the VM first runs."""
    pmu, counters = _pmu(vcpu), (value & N_MASK) >> N_SHIFT
    if counters <= vcpu.model.pmu_counters and not vcpu.vm.has_run:
        vcpu.vm.pmu_counters = counters
    pmu.pmcr = value & _CONTROL
    pmu.load()


def _set_flags(behaviour: Behaviour, name: str, sets: bool) -> Callable[[Vcpu, int], None]:
    """``set_pmreg``: what is written is the value, or is set or cleared as by the guest."""
    if not behaviour.pmu_limits_writable:
        return _raw(name)

    def write(vcpu: Vcpu, value: int) -> None:
        pmu = _pmu(vcpu)
        held: int = getattr(pmu, name)
        value &= pmu.mask
        if not behaviour.pmu_flags_plain:
            value = held | value if sets else held & ~value
        setattr(pmu, name, value)
        pmu.load()

    return write


def first_run(vcpu: Vcpu) -> int:
    """``kvm_arm_pmu_v3_enable``, by which what a VMM wrote to PMCR_EL0 takes effect. 0, or the
    negative errno."""
    pmu = vcpu.pmu
    if pmu is None:
        return 0
    if vcpu.behaviour.pmu_init_required and not pmu.created:
        return -EINVAL
    if vcpu.behaviour.pmu_registers_narrow:
        pmu.control(pmu.pmcr)
    return 0
