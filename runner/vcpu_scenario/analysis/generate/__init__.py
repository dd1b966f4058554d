"""Random cases: valid programs, devices, debug requests and actions over the whole language.

A seed gives one case, on any machine and for good: what is random comes from
:class:`random.Random` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from vcpu_scenario.analysis.generate import asks, its, pages, pair, vm
from vcpu_scenario.analysis.generate.blocks import BLOCKS
from vcpu_scenario.analysis.generate.course import (
    ACTIONS,
    WIDER_ACTIONS,
    Course,
    Make,
    with_snapshot,
)
from vcpu_scenario.analysis.generate.frame import mmu_on, tables, write
from vcpu_scenario.analysis.generate.surroundings import Surroundings, surroundings
from vcpu_scenario.analysis.generate.vgicactions import VGIC_ACTIONS
from vcpu_scenario.analysis.generate.wider import WIDER
from vcpu_scenario.analysis.generate.writing import DATA_SIZE, Block
from vcpu_scenario.case import (
    Action,
    AddMemslot,
    Case,
    HostInterrupt,
    Limits,
    Load,
    Memslot,
    SetMmioData,
    SetRunField,
)

OBSERVED: Final = ("x0", "x1", "x2", "x3", "x4", "x5", "x6", "x8", "pstate")
"""What generated cases always observe."""

STATE: Final = (
    *(f"x{n}" for n in range(31)),
    "pc",
    "pstate",
    "sp_el0",
    "sp_el1",
    "elr_el1",
    "spsr_el1",
    "esr_el1",
    "far_el1",
    "vbar_el1",
    "sctlr_el1",
    "cpacr_el1",
    "tpidr_el1",
    "contextidr_el1",
    "mair_el1",
    "mdscr_el1",
    "par_el1",
)
"""Registers that are read at the end."""

_ALSO: Final = ("sp_el0", "sp_el1", "elr_el1", "spsr_el1", "esr_el1", "far_el1", "tpidr_el1")
_EXITS: Final = 60


class Profile(Struct, frozen=True):
    """What cases are about. ``blocks`` names kinds of
    :data:`vcpu_scenario.analysis.generate.blocks.BLOCKS`, all by default, and of
    :data:`vcpu_scenario.analysis.generate.wider.WIDER`; ``actions`` and
    ``host_interrupts`` are left out where they are off. ``wide`` has stage 1 by pages as well, and
    actions about the system's registers."""

    blocks: tuple[str, ...] = tuple(BLOCKS)
    length: tuple[int, int] = (3, 14)
    """How many blocks, at least and at most."""
    actions: bool = True
    host_interrupts: bool = True
    """Only the emulated machine can be asked for one."""
    observed: tuple[str, ...] = OBSERVED
    wide: bool = False
    does: Mapping[str, Make] = field(default_factory=lambda: ACTIONS)
    """Kinds of actions."""
    vm: bool = False
    """With a PMU, and all else that a VMM does to a VM."""
    snapshots: bool = False
    """Whether a snapshot is taken after some exit, and restored after that or a later one."""
    whole: Callable[[Random], Case] | None = None
    """Makes the case, of which nothing of the above is true then."""


EVERYTHING: Final = Profile()
REAL: Final = Profile(host_interrupts=False)
"""What real KVM can be asked for as well."""
WIDE: Final = Profile(
    blocks=(*BLOCKS, *WIDER), host_interrupts=False, wide=True, does=WIDER_ACTIONS
)
"""The same with what random programs left out at first."""
VGIC: Final = replace(WIDE, blocks=(*WIDE.blocks, *("gic",) * 8), does=VGIC_ACTIONS)
"""The same about the vGIC most of all, with what a VMM does to it by its attributes and irqfds."""
SNAPSHOTS: Final = replace(WIDE, snapshots=True)
PAIR: Final = Profile(whole=pair.case)
"""Two vCPUs and their vGIC."""
ITS: Final = Profile(whole=its.case)
"""An ITS: its commands, and what a VMM does to it."""
VM: Final = replace(WIDE, blocks=(*WIDE.blocks, *vm.BLOCKS), does=vm.VM_ACTIONS, vm=True)
"""The same about the VM: its PMU, timers, slots and their dirty log, and what a VMM reads."""
ASKS: Final = replace(VM, blocks=(*VM.blocks, *asks.BLOCKS), does=asks.ACTIONS)
"""The same with what a VMM asks of it, and with stolen time."""
PROFILES: Final = {
    "wide": WIDE,
    "narrow": REAL,
    "vgic": VGIC,
    "snapshots": SNAPSHOTS,
    "pair": PAIR,
    "vm": VM,
    "asks": ASKS,
    "its": ITS,
}
"""By their names on the command line."""
_KINDS: Final = {**BLOCKS, **WIDER, **vm.BLOCKS, **asks.BLOCKS}


def generate(seed: int | str, profile: Profile = EVERYTHING) -> Case:
    """The case that belongs to ``seed``."""
    random = Random(f"vcpu-scenario {seed}")
    if profile.whole is not None:
        return profile.whole(random)
    around = surroundings(random)
    if profile.vm:
        around = vm.with_features(random, around)
    first, tabled = _stage1(random, around, profile)
    weights = [_KINDS[name][1] for name in profile.blocks]
    names = random.choices(profile.blocks, weights, k=random.randint(*profile.length))
    program, places = write(random, around, [_KINDS[name][0] for name in names], first)
    data = program.address("data")
    course = Course(random, around, places, data, exits=24, actions=profile.does)
    loads = [*program.loads(), *tabled()]
    if around.second is not None and random.random() < 0.7:
        loads.append(Load(around.second.base, random.randbytes(0x80)))
    before, on = _actions(course, profile)
    case = Case(
        slots=around.slots,
        loads=tuple(loads),
        regs=_registers(random, around.ram),
        caps=("arm_nisv_to_user",) if random.random() < 0.4 else (),
        gic=around.gic,
        reads_irq_level=around.gic is None,
        ioeventfds=around.ioeventfds,
        coalesced=around.coalesced,
        devices=() if around.uart is None else (around.uart,),
        default_reply=random.choice((0x8877665544332211, 0, random.getrandbits(64))),
        debug=course.debug(),
        before=before,
        on=on,
        observe=(*profile.observed, *random.sample(_ALSO, random.randrange(3))),
        peek=_peek(around, data),
        final_regs=STATE,
        skip_brk=random.choices(("without-actions", "always", "never"), (2, 6, 1))[0],
        psci_0_2=random.random() < 0.9,
        limits=Limits(
            exits=_EXITS,
            instructions=100_000,
            seconds=0.5,
            repeats=3,
            stop_on_intr=random.random() < 0.3,
            stop_on_event=True,
        ),
    )
    if profile.vm:
        return vm.beside(random, around, case)
    return replace(case, on=with_snapshot(course, on)) if profile.snapshots else case


def _stage1(
    random: Random, around: Surroundings, profile: Profile
) -> tuple[Block | None, Callable[[], Iterable[Load]]]:
    """How a program switches stage 1 on, if it does, and what makes the tables for that."""
    kind = random.random()
    if kind < 0.15:
        return mmu_on, lambda: (tables(random, around.ram),)
    if profile.wide and kind < 0.5 and pages.possible(around.ram):
        return pages.on, lambda: pages.loads(random, around)
    return None, tuple


def _actions(
    course: Course, profile: Profile
) -> tuple[tuple[Action, ...], tuple[tuple[int, tuple[Action, ...]], ...]]:
    if not profile.actions:
        return (), ()
    added: set[int] = set()

    def possible(action: Action) -> bool:
        if isinstance(action, AddMemslot):
            # KVM refuses a slot that overlaps another.
            again = action.slot.base in added
            added.add(action.slot.base)
            return not again
        return profile.host_interrupts or not isinstance(action, HostInterrupt)

    before = tuple(one for one in filter(possible, course.before()) if not _is_for_an_access(one))
    on = [(index, tuple(filter(possible, actions))) for index, actions in course.on()]
    return before, tuple((index, actions) for index, actions in on if actions)


def _is_for_an_access(action: Action) -> bool:
    """Whether it is nothing before the first exit, where no access waits for KVM to complete it."""
    return isinstance(action, SetMmioData) or (
        isinstance(action, SetRunField) and action.field != "exit_reason"
    )


def _registers(random: Random, ram: Memslot) -> tuple[tuple[str, int], ...]:
    registers = [("pc", ram.base)]
    if random.random() < 0.5:
        registers.append(("sp_el1", ram.base + ram.size - 0x1000))
    if random.random() < 0.3:
        registers.append((f"x{random.randrange(5)}", random.getrandbits(64)))
    return tuple(registers)


def _peek(around: Surroundings, data: int) -> tuple[tuple[int, int], ...]:
    found = [(data, DATA_SIZE)]
    if around.second is not None:
        found.append((around.second.base, 0x80))
    return tuple(found)
