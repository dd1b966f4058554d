"""An ITS and a vCPU that takes its LPIs: queues of commands, MSIs of the VMM, and what it does to
the ITS by its attributes.

The guest sets the ITS up once, with tables and a queue that are mostly good. In each round it lets
the ITS read some commands, tells how far that has come, and tells each LPI that it takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from errno import EBUSY, EINVAL
from random import Random
from typing import Final

import vcpu_scenario.case as c
from vcpu_scenario.analysis.generate import itscommands as commands
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.generate.program import Program
from vcpu_scenario.analysis.generate.surroundings import (
    DISTRIBUTOR,
    REDISTRIBUTOR,
    UART,
    Surroundings,
)
from vcpu_scenario.analysis.generate.writing import ADDRESS, DEVICE, DISTRIBUTOR_BASE, Writing
from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.mmioregisters import ITS
from vcpu_scenario.ioctls.attributes import DeviceAttr, GetDeviceAttr, SetDeviceAttr
from vcpu_scenario.ioctls.devices import CreateDevice, Irqfd, SetGsiRouting, SignalIrqfd, SignalMsi
from vcpu_scenario.kvm import vgicattrs as attrs

_BASE: Final = 0x4000_0000
_RAM: Final = c.Memslot(_BASE, 1 << 20)
_GIC: Final = c.Gic(3, DISTRIBUTOR, redist=REDISTRIBUTOR)
_ITS: Final = 0x0808_0000
_TRANSLATER: Final = _ITS + 0x1_0040
_QUEUE, _DEVICES, _COLLECTIONS = (_BASE + n * 0x1_0000 for n in range(1, 4))
_CONFIGURATIONS, _PENDING = _BASE + 0x5_0000, _BASE + 0x6_0000
_COMMANDS: Final = 64
_EXITS: Final = 60
_ITS_BASE: Final = 12
"""The register that points to the ITS."""
_GICR_PROPBASER, _GICR_PENDBASER = 0x70, 0x78


def case(random: Random) -> c.Case:
    """A program, its commands, and what the VMM does meanwhile."""
    around = Surroundings(_RAM, None, _GIC, None, (), ())
    to = Writing(random, Program(_BASE), around)
    _set_up(to)
    for writer in _writers(random):
        _round(to, writer)
    to.emit(w.access(w.WORD, w.STORE, 31, DEVICE, 0), w.b(-4))
    queue = [*commands.good(random)] if random.random() < 0.85 else []
    queue += [command for _ in range(_COMMANDS) for command in commands.some(random)]
    return c.Case(
        slots=around.slots,
        loads=(
            *to.program.loads(),
            c.Load(_QUEUE, b"".join(queue[:_COMMANDS])),
            c.Load(_CONFIGURATIONS, bytes(_configuration(random) for _ in range(16))),
        ),
        regs=(("pc", _BASE),),
        gic=_GIC,
        before=(
            CreateDevice(attrs.KVM_DEV_TYPE_ARM_VGIC_ITS),
            _set(attrs.KVM_DEV_ARM_VGIC_GRP_ADDR, attrs.KVM_VGIC_ITS_ADDR_TYPE, _ITS),
        ),
        on=tuple(_course(random)),
        observe=("x0", "x1"),
        peek=((_DEVICES, 64), (_COLLECTIONS, 64), (commands.TABLES, 0x440), (_PENDING + 0x400, 16)),
        final_regs=("x0", "x1", "pc"),
        limits=c.Limits(exits=_EXITS, instructions=100_000, seconds=0.5),
    )


# -- the guest ------------------------------------------------------------------------------------


def _configuration(random: Random) -> int:
    """Priority and enable of an LPI."""
    return random.choice((0xA0, 0x80, 0xF0, 0x40)) | 1 * (random.random() < 0.8)


def _store(to: Writing, base: int, offset: int, value: int, size: int = w.DOUBLE) -> None:
    to.constant(4, value)
    to.emit(w.access(size, w.STORE, 4, base, offset >> size))


def _set_up(to: Writing) -> None:
    """As a driver does it, in any order and sometimes not at all."""
    random = to.random
    to.constant(DEVICE, UART)
    to.constant(DISTRIBUTOR_BASE, DISTRIBUTOR)
    to.constant(_ITS_BASE, _ITS)
    to.constant(ADDRESS, REDISTRIBUTOR)
    _store(to, DISTRIBUTOR_BASE, 0, 2, w.WORD)
    to.constant(4, random.choice((0xF0, 0xF0, 0x90)))
    to.emit(w.msr(4, sysregs.ICC_PMR_EL1))
    to.constant(4, 1)
    to.emit(w.msr(4, sysregs.ICC_IGRPEN1_EL1), w.ISB)
    steps = [
        (ADDRESS, _GICR_PROPBASER, _CONFIGURATIONS | random.choice((15, 15, 15, 13)) | 0x700),
        (ADDRESS, _GICR_PENDBASER, _PENDING | 0x700),
        (_ITS_BASE, ITS["GITS_CBASER"], _QUEUE | commands.VALID * (random.random() < 0.99)),
        (_ITS_BASE, ITS["GITS_BASER0"], _DEVICES | commands.VALID * (random.random() < 0.99)),
        (_ITS_BASE, ITS["GITS_BASER1"], _COLLECTIONS | commands.VALID * (random.random() < 0.99)),
    ]
    if random.random() < 0.2:
        random.shuffle(steps)
    for base, offset, value in steps:
        _store(to, base, offset, value)
    switches = [(_ITS_BASE, 0), (ADDRESS, 0)]
    if random.random() < 0.3:
        switches.reverse()
    for base, offset in switches:
        _store(to, base, offset, int(random.random() < 0.99), w.WORD)


def _writers(random: Random) -> Iterable[int]:
    """Where GITS_CWRITER is put in each round."""
    at = 8
    yield commands.SIZE * at
    for _ in range(random.randint(3, 8)):
        at = (at + random.randint(1, 12)) % 128
        odd = random.random() < 0.05
        yield commands.SIZE * at + (random.choice((1, 8, 0x1000)) if odd else 0)


def _round(to: Writing, writer: int) -> None:
    """Some commands, and the LPIs that come of them."""
    random = to.random
    _store(to, _ITS_BASE, ITS["GITS_CWRITER"], writer)
    to.emit(w.access(w.DOUBLE, w.LOAD, 0, _ITS_BASE, ITS["GITS_CREADR"] >> 3))
    to.emit(w.access(w.WORD, w.STORE, 0, DEVICE, 0))
    if random.random() < 0.15:
        name = random.choice(("GITS_BASER0", "GITS_BASER1", "GITS_CBASER", "GITS_CTLR"))
        to.emit(w.access(w.DOUBLE, w.LOAD, 1, _ITS_BASE, ITS[name] >> 3))
    if random.random() < 0.1:
        base = random.choice((_ITS_BASE, ADDRESS))
        for value in (0, 1):
            _store(to, base, 0, value, w.WORD)
    for _ in range(random.randint(1, 4)):
        to.emit(w.ISB, w.mrs(1, sysregs.ICC_IAR1_EL1), w.access(w.WORD, w.STORE, 1, DEVICE, 1))
        if random.random() < 0.9:
            to.emit(w.msr(1, sysregs.ICC_EOIR1_EL1))


# -- the VMM --------------------------------------------------------------------------------------


def _course(random: Random) -> Iterable[tuple[int, tuple[c.Action, ...]]]:
    for index in range(_EXITS):
        if random.random() < 0.35:
            yield index, tuple(_action(random) for _ in range(random.randint(1, 2)))


def _action(random: Random) -> c.Action:
    kind = random.random()
    if kind < 0.4:
        return _msi(random)
    if kind < 0.55:
        return _attribute(random)
    if kind < 0.65:
        group = attrs.KVM_DEV_ARM_VGIC_GRP_CTRL
        save, restore = attrs.KVM_DEV_ARM_ITS_SAVE_TABLES, attrs.KVM_DEV_ARM_ITS_RESTORE_TABLES
        return _set(group, random.choice((save, save, restore, restore, restore)))
    if kind < 0.7:
        pending = attrs.KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES
        return SetDeviceAttr(DeviceAttr("vgic", attrs.KVM_DEV_ARM_VGIC_GRP_CTRL, pending))
    if kind < 0.8:
        return c.WriteMemory(
            _QUEUE + commands.SIZE * random.randrange(_COMMANDS), commands.some(random)[0]
        )
    if kind < 0.84:
        return c.WriteMemory(
            _CONFIGURATIONS + random.randrange(6), bytes((_configuration(random),))
        )
    if kind < 0.9:
        msis = (
            (gsi, _TRANSLATER, commands.event_id(random), commands.device_id(random))
            for gsi in (0, 1)
        )
        return SetGsiRouting(((2, 0),), tuple(msis))
    gsi = random.randrange(3)
    return Irqfd(gsi) if random.random() < 0.3 else SignalIrqfd(gsi)


def _msi(random: Random) -> c.Action:
    """Whether it was delivered both machines say where that is not expected."""
    if random.random() < 0.05:
        address, device = random.choice(((_ITS, 0), (DISTRIBUTOR, 0), (_TRANSLATER, None)))
        return c.Attempt(SignalMsi(address, commands.event_id(random), device), EINVAL)
    delivered = random.choice((None,) * 18 + (True, False))
    return SignalMsi(_TRANSLATER, commands.event_id(random), commands.device_id(random), delivered)


def _attribute(random: Random) -> c.Action:
    group = attrs.KVM_DEV_ARM_VGIC_GRP_ITS_REGS
    kind = random.random()
    if kind < 0.15:
        return _set(attrs.KVM_DEV_ARM_VGIC_GRP_CTRL, attrs.KVM_DEV_ARM_ITS_CTRL_RESET)
    name = random.choice(
        (
            "GITS_CWRITER",
            "GITS_CWRITER",
            "GITS_CREADR",
            "GITS_CTLR",
            "GITS_CBASER",
            "GITS_BASER0",
            "GITS_BASER1",
            "GITS_IIDR",
        )
    )
    if kind < 0.4:
        return GetDeviceAttr(DeviceAttr("its", group, ITS[name]), random.choice((None, 0)))
    value = {
        "GITS_CTLR": random.choice((0, 1, 1)),
        "GITS_CBASER": _QUEUE | commands.VALID,
        "GITS_BASER0": _DEVICES | commands.VALID,
        "GITS_BASER1": _COLLECTIONS | commands.VALID,
        "GITS_IIDR": random.choice((0, 0x4B00043B)),
    }.get(name, commands.SIZE * random.randrange(128))
    asked = _set(group, ITS[name], value)
    return c.Attempt(asked, EBUSY) if name == "GITS_CREADR" else asked


def _set(group: int, attr: int, value: int | None = None) -> SetDeviceAttr:
    return SetDeviceAttr(DeviceAttr("its", group, attr), value)
