"""A vCPU's PMU in random programs: its registers by each way to them.

What only a host can say, how many cycles or instructions there were, nothing looks at: counters
count software increments and each other, and the cycle counter is never enabled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

import vcpu_scenario.case as c
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.generate.course import Course, set_register
from vcpu_scenario.analysis.generate.surroundings import Surroundings
from vcpu_scenario.analysis.generate.writing import ADDRESS, Writing
from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.ioctls.attributes import DeviceAttr, SetDeviceAttr
from vcpu_scenario.kvm import vcpuattrs as attrs
from vcpu_scenario.kvm.features import PMU_V3
from vcpu_scenario.kvm.registers import name_of

_IRQ: Final = 23
_CYCLES: Final = 1 << 31
_SW_INCR, _CHAIN = 0, 0x1E

Value = Callable[[Random], int]


def _control(random: Random) -> int:
    return random.choice((0, 1, 1, 1, 3, 5, 7, 0x41, 0x81, random.getrandbits(8)))


def _flags(random: Random) -> int:
    return random.choice((1, 2, 3, 0xF, 0x40, random.getrandbits(31), 0x7FFF_FFFF))


def _any_flags(random: Random) -> int:
    return random.choice((_CYCLES, 0xFFFF_FFFF, (1 << 64) - 1, _flags(random)))


def _selection(random: Random) -> int:
    return random.choice((0, 1, 2, 3, 5, 6, 30, 31, random.getrandbits(6)))


def _type(random: Random) -> int:
    event = random.choice((_SW_INCR, _SW_INCR, _CHAIN, _CHAIN, 3, 0x21))
    return event | random.choice((0, 0, 0, 1, 2, 3, 0x1F)) << 27


def _count(random: Random) -> int:
    return random.choice((0, 0xFFFF_FFFF, 0xFFFF_FFFE, (1 << 64) - 1, random.getrandbits(64)))


def _user(random: Random) -> int:
    return random.choice((0, 1, 0xF, random.getrandbits(8)))


_REGISTERS: Final[Mapping[sysregs.Encoding, Value]] = {
    sysregs.PMCR_EL0: _control,
    sysregs.PMCNTENSET_EL0: _flags,
    sysregs.PMCNTENCLR_EL0: _any_flags,
    sysregs.PMOVSSET_EL0: _any_flags,
    sysregs.PMOVSCLR_EL0: _any_flags,
    sysregs.PMINTENSET_EL1: _any_flags,
    sysregs.PMINTENCLR_EL1: _any_flags,
    sysregs.PMSWINC_EL0: _any_flags,
    sysregs.PMSELR_EL0: _selection,
    sysregs.PMXEVTYPER_EL0: _type,
    sysregs.PMXEVCNTR_EL0: _count,
    sysregs.PMCCNTR_EL0: _count,
    sysregs.PMCCFILTR_EL0: _type,
    sysregs.PMUSERENR_EL0: _user,
    sysregs.PMCEID0_EL0: _count,
    sysregs.PMCEID1_EL0: _count,
    **dict.fromkeys((sysregs.PMEVCNTR_EL0[n] for n in (0, 1, 2, 5, 6, 30)), _count),
    **dict.fromkeys((sysregs.PMEVTYPER_EL0[n] for n in (0, 1, 2, 5, 6, 30)), _type),
}
_OF_VMM: Final = {
    name_of(encoding): value
    for encoding, value in _REGISTERS.items()
    if name_of(encoding).startswith("pm")
} | {"pmcntenclr_el0": _flags}
"""By KVM_SET_ONE_REG, where PMCNTENCLR_EL0 may be the new value."""
STATE: Final = (
    "pmcr_el0",
    "pmcntenset_el0",
    "pmovsset_el0",
    "pmintenset_el1",
    "pmselr_el0",
    "pmuserenr_el0",
    "pmccntr_el0",
    *(f"pmevcntr{n}_el0" for n in range(4)),
    *(f"pmevtyper{n}_el0" for n in range(3)),
)
"""Registers that are read at the end."""


def has_pmu(around: Surroundings) -> bool:
    return PMU_V3 in around.features


def set_up(random: Random, around: Surroundings) -> tuple[c.Action, ...]:
    """What a VMM does for a vCPU's PMU before it runs. At its reset the cycle counter is enabled;
    which of the two takes it away depends on the kernel."""
    if not has_pmu(around):
        return ()
    found: list[c.Action] = [
        c.SetRegister("pmcntenclr_el0", _CYCLES),
        c.SetRegister("pmcntenset_el0", 0),
    ]
    if around.gic is not None:
        found.append(SetDeviceAttr(_pmu_attr(attrs.KVM_ARM_VCPU_PMU_V3_IRQ), _IRQ))
    if random.random() < 0.15:
        event, allows = random.choice((_SW_INCR, _CHAIN, 3)), random.randrange(2)
        value = attrs.EventFilter(event, random.choice((1, 2, 0x20)), allows).value
        found.append(SetDeviceAttr(_pmu_attr(attrs.KVM_ARM_VCPU_PMU_V3_FILTER), value))
    if random.random() < 0.95:
        found.append(SetDeviceAttr(_pmu_attr(attrs.KVM_ARM_VCPU_PMU_V3_INIT)))
    if random.random() < 0.15:
        found.append(c.SetRegister("pmcr_el0", random.randrange(8) << 11))
    return tuple(found)


def _pmu_attr(attr: int) -> DeviceAttr:
    return DeviceAttr("vcpu", attrs.KVM_ARM_VCPU_PMU_V3_CTRL, attr)


def pmu(to: Writing) -> None:
    """Registers written and read."""
    for _ in range(to.random.randrange(1, 6)):
        _register(to)


def _register(to: Writing) -> None:
    random = to.random
    encoding, value = random.choice(list(_REGISTERS.items()))
    if random.random() < 0.6:
        to.constant(ADDRESS, value(random))
        to.emit(w.msr(ADDRESS, encoding))
    else:
        to.emit(w.mrs(to.value(), encoding))


def pmu_at_el0(to: Writing) -> None:
    """The same where PMUSERENR_EL0 allows it or not."""
    to.constant(ADDRESS, _user(to.random))
    to.emit(w.msr(ADDRESS, sysregs.PMUSERENR_EL0))
    to.visit_el0((_register,))


def increments(to: Writing) -> None:
    """Counters that wrap, alone or chained, with all that it takes to see it."""
    random = to.random
    for encoding, value in (
        (sysregs.PMEVTYPER_EL0[0], _SW_INCR),
        (sysregs.PMEVTYPER_EL0[1], random.choice((_CHAIN, _CHAIN, _SW_INCR))),
        (sysregs.PMEVCNTR_EL0[0], random.choice((0xFFFF_FFFE, 0xFFFF_FFFF))),
        (sysregs.PMEVCNTR_EL0[1], random.choice((0, 0xFFFF_FFFF))),
        (sysregs.PMINTENSET_EL1, random.randrange(4)),
        (sysregs.PMCNTENSET_EL0, random.choice((1, 3, 3, 3))),
        (sysregs.PMCR_EL0, random.choice((1, 1, 0x81, 0xC1))),
        *((sysregs.PMSWINC_EL0, random.choice((1, 1, 3))) for _ in range(random.randrange(1, 4))),
    ):
        if random.random() < 0.9:
            to.constant(ADDRESS, value)
            to.emit(w.msr(ADDRESS, encoding))
    shown = random.choice((sysregs.PMOVSSET_EL0, *sysregs.PMEVCNTR_EL0[:2]))
    to.emit(w.mrs(to.value(), shown))


def write(course: Course) -> c.Action:
    """A register of the PMU by the VMM."""
    if not has_pmu(course.around):
        return set_register(course)
    name, value = course.random.choice(list(_OF_VMM.items()))
    return c.SetRegister(name, value(course.random))
