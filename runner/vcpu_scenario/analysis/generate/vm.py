"""What programs and their VMM do to the rest of a VM: timers, slots and their dirty log, states of
the vCPU, signals, attributes that are read."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Final

from msgspec.structs import replace

import vcpu_scenario.case as c
from vcpu_scenario.analysis.generate import pmu
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.generate.course import Course, Make, set_irq_line, set_register
from vcpu_scenario.analysis.generate.surroundings import DISTRIBUTOR, REDISTRIBUTOR, Surroundings
from vcpu_scenario.analysis.generate.vgicactions import VGIC_ACTIONS
from vcpu_scenario.analysis.generate.writing import ADDRESS, Block, Writing
from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.ioctls.attributes import DeviceAttr, GetDeviceAttr
from vcpu_scenario.ioctls.memory import ClearDirtyLog, GetDirtyLog, SetHostMapping, SetMemoryRegion
from vcpu_scenario.ioctls.vcpu import InitVcpu, SetMpState
from vcpu_scenario.ioctls.vm import GetRegWritableMasks, SetCounterOffset
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm import vgicattrs as attrs
from vcpu_scenario.kvm.features import PMU_V3

_TIMERS: Final = 1 << 23 | 1 << 27 | 1 << 30
"""The interrupts of the PMU, the virtual and the physical timer."""
_SGI_FRAME: Final = REDISTRIBUTOR + 0x1_0000
_CONTROLS: Final = (0, 1, 1, 2, 3, 7)
_NEVER: Final = 1 << 62
_COMPARED: Final = (0, 0, _NEVER, _NEVER + 1)
_TIMER_REGISTERS: Final = (
    (sysregs.CNTV_CTL_EL0, _CONTROLS),
    (sysregs.CNTP_CTL_EL0, _CONTROLS),
    (sysregs.CNTV_CVAL_EL0, _COMPARED),
    (sysregs.CNTP_CVAL_EL0, _COMPARED),
    (sysregs.CNTKCTL_EL1, (0, 3, 0x300, 0xFF)),
)
STATE: Final = ("cntv_ctl_el0", "cntv_cval_el0", "cntkctl_el1")


def with_features(random: Random, around: Surroundings) -> Surroundings:
    return replace(around, features=(PMU_V3,)) if random.random() < 0.6 else around


def beside(random: Random, around: Surroundings, case: c.Case) -> c.Case:
    """The case with what is for its VM. The VMM reads no slot at the end that may be gone."""
    caps = ("manual_dirty_log_protect2",) if random.random() < 0.2 else ()
    return replace(
        case,
        caps=(*case.caps, *caps),
        features=around.features,
        before=(*_set_up(random, around), *case.before),
        peek=case.peek[:1],
        final_regs=(*case.final_regs, *STATE, *(pmu.STATE if pmu.has_pmu(around) else ())),
    )


def _set_up(random: Random, around: Surroundings) -> tuple[c.Action, ...]:
    """What the VMM does first."""
    found = list(pmu.set_up(random, around))
    if random.random() < 0.6:
        found.append(_region(around.ram, 0, log_dirty=True))
    if random.random() < 0.03:
        found.append(SetCounterOffset(random.choice((0, 1 << 20))))
    return tuple(found)


# -- blocks --------------------------------------------------------------------------------------


def _timer(to: Writing) -> None:
    """The timers' registers: what time it is nothing tells."""
    random = to.random
    for _ in range(random.randrange(1, 4)):
        encoding, values = random.choice(_TIMER_REGISTERS)
        if random.random() < 0.65:
            to.constant(ADDRESS, random.choice(values))
            to.emit(w.msr(ADDRESS, encoding))
        else:
            to.emit(w.mrs(to.value(), encoding))
    if random.random() < 0.3:
        to.emit(w.mrs(31, random.choice((sysregs.CNTVCT_EL0, sysregs.CNTPCT_EL0))))


def _private(to: Writing) -> None:
    """Lets the interrupts through that belong to the vCPU."""
    gic = to.around.gic
    if gic is None:
        return
    to.constant(4, _TIMERS | to.random.getrandbits(16))
    to.constant(ADDRESS, _SGI_FRAME if gic.version == 3 else DISTRIBUTOR)
    if gic.version == 3:
        to.emit(w.access(w.WORD, w.STORE, 4, ADDRESS, 0x80 // 4))
    to.emit(w.access(w.WORD, w.STORE, 4, ADDRESS, 0x100 // 4))
    if to.random.random() < 0.5:
        to.emit(w.access(w.WORD, w.LOAD, to.value(), ADDRESS, 0x200 // 4))


BLOCKS: Final[Mapping[str, tuple[Block, int]]] = {
    "pmu": (pmu.pmu, 10),
    "increments": (pmu.increments, 6),
    "pmu-at-el0": (pmu.pmu_at_el0, 4),
    "timer": (_timer, 6),
    "private-interrupts": (_private, 6),
}
"""Every kind with its weight."""


# -- actions -------------------------------------------------------------------------------------


def _region(slot: c.Memslot, number: int, *, log_dirty: bool) -> SetMemoryRegion:
    return SetMemoryRegion(number, slot.base, slot.size, slot.readonly, log_dirty)


def _set_region(course: Course) -> c.Action:
    """The log of the first slot on or off; the second one deleted, moved, or with a flag."""
    random, around = course.random, course.around
    second, log_dirty = around.second, random.random() < 0.6
    if second is None or random.random() < 0.4:
        return _region(around.ram, 0, log_dirty=log_dirty)
    kind = random.random()
    if kind < 0.2:
        return SetMemoryRegion(1, second.base, 0)
    if kind < 0.6:
        base = second.base + random.choice((second.size, 1 << 20, 0))
        second = replace(second, base=base)
    elif kind < 0.65:
        second = replace(second, readonly=not second.readonly)
    return _region(second, 1, log_dirty=log_dirty)


def _slot(course: Course) -> tuple[int, c.Memslot]:
    around = course.around
    if around.second is None or course.random.random() < 0.85:
        return 0, around.ram
    return 1, around.second


def _dirty_log(course: Course) -> c.Action:
    """Which pages are dirty, or nothing but that they are taken."""
    random, (number, slot) = course.random, _slot(course)
    if random.random() < 0.15:
        pages = slot.size >> 12
        return ClearDirtyLog(number, 0, pages, tuple(random.sample(range(min(pages, 4)), 1)))
    return GetDirtyLog(number, random.choice((None, None, (), (0,))))


def _host_mapping(course: Course) -> c.Action:
    if course.around.second is None:
        return _set_region(course)
    return SetHostMapping(1, course.random.choice(("none", "read", "read_write", "unmapped")))


def _write_timer(course: Course) -> c.Action:
    random = course.random
    name, values = random.choice(
        (
            ("cntv_ctl_el0", _CONTROLS),
            ("cntv_cval_el0", _COMPARED),
            ("cntp_ctl_el0", _CONTROLS),
            ("cntp_cval_el0", _COMPARED),
            ("cntvct_el0", (0, 1 << 30)),
            ("cntkctl_el1", (0, 3, 0x300)),
        )
    )
    return c.SetRegister(name, random.choice(values))


def _mp_state(course: Course) -> c.Action:
    runnable = abi.KVM_MP_STATE_RUNNABLE
    return SetMpState(
        course.random.choice(
            (runnable, runnable, abi.KVM_MP_STATE_STOPPED, abi.KVM_MP_STATE_SUSPENDED)
        )
    )


_DIST: Final = (0, 4, 8, 0x80, 0x84, 0x104, 0x184, 0x204, 0x284, 0x304, 0x384, 0x420, 0xC08)
_PRIVATE: Final = tuple(
    0x1_0000 + offset for offset in (0x80, 0x100, 0x180, 0x200, 0x280, 0x300, 0x400, 0xC04)
)
_INTERFACE: Final = (
    sysregs.ICC_PMR_EL1,
    sysregs.ICC_BPR1_EL1,
    sysregs.ICC_CTLR_EL1,
    sysregs.ICC_SRE_EL1,
    sysregs.ICC_IGRPEN1_EL1,
    sysregs.ICC_AP1R0_EL1,
)


def _read_vgic(course: Course) -> c.Action:
    """An attribute that is expected to be 0: what else it is both machines say."""
    random, gic = course.random, course.around.gic
    if gic is None:
        return set_irq_line(course)
    kind = random.random()
    group, attribute = attrs.KVM_DEV_ARM_VGIC_GRP_DIST_REGS, random.choice(_DIST)
    if gic.version == 2 and kind < 0.3:
        group, attribute = attrs.KVM_DEV_ARM_VGIC_GRP_CPU_REGS, random.choice((0, 4, 8, 0x1C, 0xD0))
    elif gic.version == 3 and kind < 0.25:
        group, attribute = attrs.KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, random.choice(_PRIVATE)
    elif gic.version == 3 and kind < 0.5:
        group = attrs.KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS
        attribute = attrs.sysreg_attribute(random.choice(_INTERFACE))
    elif gic.version == 3 and kind < 0.6:
        group, attribute = attrs.KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, random.choice((0, 32))
    return GetDeviceAttr(DeviceAttr("vgic", group, attribute), 0)


def _reset(course: Course) -> c.Action:
    """To a vCPU that has no PMU: that one's cycle counter is enabled at its reset."""
    return set_register(course) if pmu.has_pmu(course.around) else InitVcpu()


VM_ACTIONS: Final[dict[str, Make]] = VGIC_ACTIONS | {
    "write_pmu": (pmu.write, 10),
    "write_timer": (_write_timer, 8),
    "region": (_set_region, 8),
    "dirty_log": (_dirty_log, 8),
    "host_mapping": (_host_mapping, 3),
    "mp_state": (_mp_state, 3),
    "vcpu_events": (VGIC_ACTIONS["vcpu_events"][0], 6),
    "read_vgic": (_read_vgic, 5),
    "pend_signal": (lambda course: c.PendSignal(), 2),
    "reset": (_reset, 1),
    "masks": (lambda course: GetRegWritableMasks(()), 1),
}
"""Those of the vGIC and of all else."""
