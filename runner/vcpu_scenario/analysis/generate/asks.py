"""What a VMM asks of a VM in the middle of a run, beside what it does to it: its capabilities,
registers, state and events, attributes, routes and MSIs of a VM without an ITS, stolen time.

An answer that is not as expected ends the run, and both machines say what it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from errno import EINVAL, ENODEV, ENXIO
from typing import Final, Literal

import vcpu_scenario.case as c
from vcpu_scenario.analysis.generate import vm
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.generate.course import Course, Make
from vcpu_scenario.analysis.generate.writing import Block, Writing
from vcpu_scenario.ioctls.devices import SetGsiRouting, SignalMsi
from vcpu_scenario.ioctls.vm import Ask, GetRegister, SetStealTime
from vcpu_scenario.kvm import abi, capabilities, plainioctls

_OURS: Final = frozenset(
    {
        plainioctls.CHECK_EXTENSION,
        plainioctls.PREFERRED_TARGET,
        plainioctls.GET_MP_STATE,
        plainioctls.GET_VCPU_EVENTS,
        plainioctls.SET_DEVICE_ADDR,
        plainioctls.HAS_VM_ATTR,
        "KVM_GET_API_VERSION",
        "KVM_GET_VCPU_MMAP_SIZE",
    }
)
_OF_OTHERS: Final = tuple(sorted(plainioctls.REQUESTS.keys() - _OURS))
"""Ioctls that arm64 does not have."""
_PV_TIME: Final = (0xC500_0020, 0xC500_0021, 0x8000_0001)
_RAW: Final = (
    "0x6030000000100042",
    "0x603000000010000a",
    "0x6030000000100041",
    "0x60300000001000ff",
    "0x6020000000100040",
    "0x6030000000134fff",
    "0x5030000000100040",
)


def _capability(course: Course) -> c.Action:
    random = course.random
    value = random.choice((0, 1, 1, None))
    file: Literal["", "system"] = "system" if random.random() < 0.25 else ""
    number = random.choice((*capabilities.NUMBERS.values(), random.randrange(300)))
    return Ask(plainioctls.CHECK_EXTENSION, number, value, file)


def _register(course: Course) -> c.Action:
    random = course.random
    name = random.choice((*_RAW, "pc", "pstate", "elr_el1", "v3", "fpsr", "psci_version", "x3"))
    return GetRegister(name, random.choice((0, None, None)))


def _state(course: Course) -> c.Action:
    if course.random.random() < 0.5:
        return Ask(plainioctls.GET_MP_STATE, 0, abi.KVM_MP_STATE_RUNNABLE)
    return Ask(plainioctls.GET_VCPU_EVENTS, 0, 0)


def _attribute(course: Course) -> c.Action:
    random = course.random
    if random.random() < 0.5:
        group, attr = random.randrange(2), random.randrange(3)
        return c.Attempt(Ask(plainioctls.HAS_VM_ATTR, attr << 64 | group << 32), ENXIO)
    addr = random.choice((0x0800_0000, 0x0801_0000, 0x0900_0800))
    id_ = random.choice((0, 1, 2, 3, 0x1_0000))
    return c.Attempt(Ask(plainioctls.SET_DEVICE_ADDR, addr << 64 | id_), ENODEV)


def _msi(course: Course) -> c.Action:
    """Of a VM that has no ITS."""
    device = course.random.choice((None, 3))
    asked = SignalMsi(0x0808_0040, 5, device)
    return c.Attempt(asked, EINVAL if course.around.gic is None else ENODEV)


def _routes(course: Course) -> c.Action:
    random = course.random
    pins = tuple((gsi, random.randrange(32)) for gsi in random.sample(range(4), 2))
    msis = ((9, 0x0808_0040, 5, None),) if random.random() < 0.2 else ()
    return SetGsiRouting(pins, msis)


def _steal_time(course: Course) -> c.Action:
    """In a page that nothing else uses, or where none can be."""
    random, ram = course.random, course.around.ram
    place = ram.base + ram.size - 0x3000
    return SetStealTime(random.choice((place, place, place + 8, 0x0A00_0000)))


def _ask_for_stolen_time(to: Writing) -> None:
    """PV_TIME_FEATURES and PV_TIME_ST. When it was stolen nothing reads."""
    random = to.random
    to.constant(0, _PV_TIME[0] if random.random() < 0.5 else _PV_TIME[1])
    to.constant(1, random.choice(_PV_TIME))
    to.emit(w.hvc())


BLOCKS: Final[Mapping[str, tuple[Block, int]]] = {"stolen-time": (_ask_for_stolen_time, 8)}
"""Every kind with its weight."""

ACTIONS: Final[dict[str, Make]] = vm.VM_ACTIONS | {
    "capability": (_capability, 8),
    "register": (_register, 8),
    "state": (_state, 14),
    "target": (lambda course: Ask(plainioctls.PREFERRED_TARGET, 0, 5), 1),
    "of_others": (lambda course: c.Attempt(Ask(course.random.choice(_OF_OTHERS)), EINVAL), 8),
    "attribute": (_attribute, 4),
    "msi": (_msi, 4),
    "routes": (_routes, 6),
    "steal_time": (_steal_time, 6),
}
"""Those of a VM, and the questions."""
