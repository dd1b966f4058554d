"""The cache's registers: CTR_EL0, CLIDR_EL1, CSSELR_EL1 and the CCSIDR_EL1 it selects.

Where KVM traps them (``ctr_trapped``) it makes the caches up, one level of one set and one way,
and a VMM may describe others; before, all saw the hardware's.
"""

from __future__ import annotations

from collections.abc import Iterator
from errno import EBUSY, EINVAL
from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.kvm.registers import ccsidr, sys_reg
from vcpu_scenario.machine.emulated.kvm.access import Access, Read, fixed
from vcpu_scenario.machine.emulated.kvm.idfields import ctr_fits, makes_no_sense
from vcpu_scenario.machine.emulated.kvm.inject import inject_undefined
from vcpu_scenario.machine.emulated.kvm.vcpu import Refused, Vcpu

_CTR: Final = 0x8444_C004
"""Of both CPUs."""
_IDC: Final = 1 << 28
_CLIDR: Final = 0x0920_0003
"""Level 1 has both caches, and is the point of coherency and of both unifications."""
_CLIDR_OF_IDC: Final = 0x0200_0021
"""Level 1 has the instruction cache, and the unified level 2 is the point of coherency."""
_CLIDR_RES0: Final = -1 << 47
_LINES_OF_64: Final = 2
_OF_BOTH_LEVELS: Final = (0, 1, 2)
"""CSSELR_EL1 of the caches that the CPUs have: two of level 1, one of level 2."""
_CSSELR_MAX: Final = 14
"""Seven levels, each with its data and its instruction cache."""


def registers(behaviour: Behaviour) -> Iterator[tuple[int, Access]]:
    """Those of a VMM."""
    yield sys_reg(*sysregs.CTR_EL0), (_ctr, _set_ctr)
    if not behaviour.ctr_trapped:
        yield sys_reg(*sysregs.CLIDR_EL1), fixed(lambda vcpu: vcpu.model.clidr)
        yield sys_reg(*sysregs.CSSELR_EL1), (_hardware_csselr, _set_hardware_csselr)
        for csselr in _OF_BOTH_LEVELS:
            yield ccsidr(csselr), fixed(_hardware_ccsidr(csselr))
        return
    yield sys_reg(*sysregs.CLIDR_EL1), (_clidr, _set_clidr)
    yield sys_reg(*sysregs.CSSELR_EL1), (lambda vcpu: vcpu.csselr, _set_csselr)
    for csselr in range(_CSSELR_MAX):
        yield ccsidr(csselr), _size_of_cache(csselr)


def access_ctr(vcpu: Vcpu, _encoding: Encoding, _value: int | None) -> int | None:
    return _ctr(vcpu)


def access(vcpu: Vcpu, encoding: Encoding, value: int | None) -> int | None:
    """``access_clidr``, ``access_csselr``, ``access_ccsidr``: the guest's, where they trap."""
    if value is not None and encoding == sysregs.CSSELR_EL1:
        vcpu.csselr = value
    elif value is not None:
        inject_undefined(vcpu)
    elif encoding == sysregs.CSSELR_EL1:
        return vcpu.csselr
    elif encoding == sysregs.CCSIDR_EL1:
        selected = vcpu.csselr & 0xF
        if selected < _CSSELR_MAX:
            return vcpu.ccsidr.get(selected, _LINES_OF_64)
        return vcpu.cpu.x_or_zero(vcpu.cpu.hsr >> 5 & 31)  # it is left as it was
    return _clidr(vcpu)


def _hardware_ccsidr(csselr: int) -> Read:
    return lambda vcpu: vcpu.model.ccsidr[csselr]


def _cleans_nothing(vcpu: Vcpu) -> bool:
    """Whether the CPU has no point of unification that caches have to be cleaned to."""
    return not (vcpu.model.clidr >> 27 & 7 or vcpu.model.clidr >> 21 & 7)


def _ctr(vcpu: Vcpu) -> int:
    return vcpu.id_values.get(sysregs.CTR_EL0, _shown_ctr(vcpu))


def _shown_ctr(vcpu: Vcpu) -> int:
    """``read_cpuid_effective_cachetype``: a CPU without a point of unification that caches have to
    be cleaned to needs no cleaning, though its own CTR_EL0 does not say so."""
    return _CTR | _IDC if _cleans_nothing(vcpu) else _CTR


def _set_ctr(vcpu: Vcpu, value: int) -> None:
    behaviour = vcpu.behaviour
    if value == _ctr(vcpu):
        return
    if (
        vcpu.vm.has_run
        and behaviour.ctr_writable
        and not makes_no_sense(sysregs.CTR_EL0, value, behaviour)
    ):
        raise Refused(EBUSY)
    if not behaviour.ctr_writable or not ctr_fits(value, _shown_ctr(vcpu), behaviour):
        raise Refused(EINVAL)
    vcpu.id_values[sysregs.CTR_EL0] = value


def _clidr(vcpu: Vcpu) -> int:
    if vcpu.clidr is not None:
        return vcpu.clidr
    return _CLIDR_OF_IDC if _cleans_nothing(vcpu) else _CLIDR


def _set_clidr(vcpu: Vcpu, value: int) -> None:
    """``set_clidr``: caches that need no cleaning are refused, unless those of the CPU are so."""
    cleaned = value >> 24 & 7 and (value >> 21 & 7 or value >> 27 & 7)
    if value & _CLIDR_RES0 or not (cleaned or _cleans_nothing(vcpu)):
        raise Refused(EINVAL)
    vcpu.clidr = value


def _set_csselr(vcpu: Vcpu, value: int) -> None:
    vcpu.csselr = value


def _hardware_csselr(vcpu: Vcpu) -> int:
    return vcpu.cpu.read_sys(sysregs.CSSELR_EL1)


def _set_hardware_csselr(vcpu: Vcpu, value: int) -> None:
    vcpu.cpu.write_sys(sysregs.CSSELR_EL1, value)


def _size_of_cache(csselr: int) -> Access:
    """``set_ccsidr``: lines are not shorter than those of the CPU."""

    def write(vcpu: Vcpu, value: int) -> None:
        if value & 7 < _LINES_OF_64:
            raise Refused(EINVAL)
        vcpu.ccsidr[csselr] = value

    return (lambda vcpu: vcpu.ccsidr.get(csselr, _LINES_OF_64)), write
