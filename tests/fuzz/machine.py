"""Hostile cases for the machine: random words, states, maps and actions, by seed.

An input starts as a valid program or as mere words, and has some of what follows done to it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random
from typing import Final

from msgspec.structs import replace
from vcpu_scenario import case as c
from vcpu_scenario.analysis.generate import generate
from vcpu_scenario.case import Case, Limits, Load, Memslot
from vcpu_scenario.ioctls.vcpu import (
    GuestDebug,
    SetGuestDebug,
    SetIrqLine,
    SetMpState,
    SetVcpuEvents,
    Watchpoint,
)
from vcpu_scenario.kernels.release import KNOWN_RELEASES
from vcpu_scenario.kernels.table import kernel
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import CORE_REGISTERS, SYSTEM_REGISTERS

KERNELS: Final = (*KNOWN_RELEASES, "4.18-v2trap", "5.0-v2trap", "6.12-v2trap")
BASE: Final = 0x4000_0000
_SIZE: Final = 1 << 20

_COUNTER: Final = 0xD53B_E000
"""MRS of CNTFRQ_EL0, CNTPCT_EL0, CNTVCT_EL0 and their like."""

NASTY: Final = (
    0x2ED80E5C,  # unallocated FP16 of the kind that aborts Unicorn's newest model
    0x0E512C4E,
    0x0E780800,
    0xD69F03E0,  # eret
    0xD69F0BFF,  # eretaa
    0xD6BF03E0,  # drps
    0xD503201F,
    0xD503207F,
    0xD503205F,
    0xD5033F5F,
    0xD50B7420,  # dc zva
    0xD5087620,
    0xD508871F,  # tlbi vmalle1
    0xD51BE000,  # msr cntfrq
    0xD53BE040,  # mrs cntvct
    0xD5181000,  # msr sctlr_el1, x0
    0xD5182000,  # msr ttbr0_el1, x0
    0xD5182040,  # msr tcr_el1, x0
    0xD518C000,  # msr vbar_el1, x0
    0xD5184000,  # msr spsr_el1, x0
    0xD5184020,  # msr elr_el1, x0
    0xD5100240,  # msr mdscr_el1, x0
    0xD5100080,
    0xD51000A0,
    0xD5181040,  # msr cpacr_el1, x0
    0xD50042BF,  # odd forms of msr (immediate)
    0xD50344FF,
    0xD4000001,
    0xD4000002,
    0xD4000003,
    0xD4200000,
    0xD4400000,
    0xD4A00001,  # dcps1
    0x00000000,
    0xFFFFFFFF,
    0x14000000,  # b .
    0x17FFFFFF,  # b . - 4
    0xD61F0000,  # br x0
    0xC85F7C00,  # ldxr x0, [x0]
    0xC8007C00,
    0x0D40E400,
    0x4C40A000,
    0xF8200000,  # ldadd
    0x48207C00,  # casp
    0x9AC04C00,
    0x88DFFC00,  # ldar
)
_VALUES: Final = (
    0,
    1,
    (1 << 64) - 1,
    1 << 63,
    BASE,
    BASE + 0xFFF,
    BASE + _SIZE - 4,
    BASE + _SIZE,
    0x0900_0000,
    0x0800_0000,
    0xFFFF_0000_0000_0000,
    0x00FF_FFFF_F000,
    0xFF_FFFF_F000,
    0x10_0000_0000,
    0x30D0_0801,
    0x8000_8000,
    0x8400_0008,
)


def kernel_of(seed: int) -> str:
    return Random(f"kernel {seed}").choice(KERNELS)


def case_of(seed: int) -> Case:
    """The input of this seed."""
    random = Random(f"fuzz machine {seed}")
    case = generate(seed) if random.random() < 0.5 else _words_alone(random)
    for change in random.choices(_CHANGES, k=random.randrange(1, 5)):
        case = change(case, random)
    if not kernel(kernel_of(seed)).capabilities and random.random() < 0.9:
        case = replace(case, caps=())  # or all that the kernel says of it is no
    limits = replace(
        case.limits,
        exits=random.choice((8, 24, 60)),
        instructions=random.choice((1, 100, 5_000, 20_000)),
        seconds=20.0,
        repeats=random.choice((None, 3)),
    )
    return replace(case, limits=limits)


def word(random: Random) -> int:
    kind = random.random()
    if kind < 0.25:
        return random.getrandbits(32)
    if kind < 0.45:
        return random.choice(NASTY) | random.getrandbits(5)
    if kind < 0.7:  # loads and stores
        return random.getrandbits(32) & ~(0x0A000000) | 0x08000000
    if kind < 0.85:  # system, branches, exceptions
        return random.getrandbits(32) & 0x03FFFFFF | random.choice(
            (0xD4000000, 0xD5000000, 0xD6000000, 0x54000000, 0x14000000)
        )
    if kind < 0.93:  # SIMD&FP
        return random.getrandbits(32) | 0x0E000000
    return random.getrandbits(32) & 0x7FFFFFFF | 0x11000000


def value(random: Random) -> int:
    kind = random.random()
    if kind < 0.5:
        return random.choice(_VALUES)
    if kind < 0.7:
        return BASE + random.randrange(_SIZE)
    if kind < 0.85:
        return random.choice(_VALUES) + random.randrange(-64, 64) & (1 << 64) - 1
    return random.getrandbits(64)


def _words_alone(random: Random) -> Case:
    words = [word(random) for _ in range(random.randrange(1, 48))]
    regs = [("pc", BASE), *((f"x{n}", value(random)) for n in range(random.randrange(31)))]
    control = random.choice((0, 0, 1, 3, 0x10003, 0x10001))
    return Case(
        slots=(Memslot(BASE, _SIZE),),
        loads=(Load(BASE, struct.pack(f"<{len(words)}I", *words)),),
        regs=tuple(regs),
        caps=random.choice(((), ("arm_nisv_to_user",))),
        gic=random.choice(_GICS),
        debug=GuestDebug(control) if control else None,
        skip_brk=random.choice(("always", "never")),
        limits=Limits(stop_on_intr=random.random() < 0.5),
    )


_GICS: Final = (
    None,
    None,
    c.Gic(3, 0x0800_0000, redist=0x080A_0000),
    c.Gic(2, 0x0800_0000, cpu=0x0801_0000),
)

# -- what is done to a case ------------------------------------------------------------------------


def _other_words(case: Case, random: Random) -> Case:
    index = random.randrange(len(case.loads))
    load = case.loads[index]
    data = bytearray(load.data)
    for _ in range(random.randrange(1, 6)):
        at = random.randrange(max(len(data) // 4, 1)) * 4
        data[at : at + 4] = word(random).to_bytes(4, "little")
    loads = (*case.loads[:index], Load(load.addr, bytes(data)), *case.loads[index + 1 :])
    return replace(case, loads=loads)


def _register_values(case: Case, random: Random) -> Case:
    names = [*CORE_REGISTERS, *SYSTEM_REGISTERS]
    given = tuple((random.choice(names), value(random)) for _ in range(random.randrange(1, 5)))
    return replace(case, regs=(*case.regs, *given))


def _pstate(case: Case, random: Random) -> Case:
    mode = random.choice((0, 4, 5, 8, 9, 12, 13, 0x10, 0x13, 0x1B, 0x1F, random.getrandbits(5)))
    flags = random.getrandbits(28) & random.choice((0x3C0, 0x2003C0, 0x3003C0, 0xFFFFFFF)) & ~0x1F
    name = random.choice(("pstate", "spsr_el1", "spsr_el1"))
    case = replace(case, regs=(*case.regs, (name, flags | mode), ("elr_el1", value(random))))
    return _insert(case, random, [0xD69F03E0])


def _insert(case: Case, random: Random, words: list[int]) -> Case:
    """Puts ``words`` in place of others at the start of the code or somewhere in it."""
    first, *others = case.loads
    data = bytearray(first.data)
    at = 4 * random.choice((0, random.randrange(max(len(data) // 4, 1))))
    data[at : at + 4 * len(words)] = struct.pack(f"<{len(words)}I", *words)
    return replace(case, loads=(Load(first.addr, bytes(data)), *others))


def _own_tables(case: Case, random: Random) -> Case:
    """Stage 1 with tables that point at themselves, at devices, at anything."""
    ram = case.slots[0]
    pages = [ram.base + ram.size - 0x1000 * n for n in range(1, 4) if ram.size > 0x8000]
    loads = list(case.loads)
    for page in pages:
        entries = []
        for _ in range(512):
            target = random.choice((*pages, 0x0900_0000, ram.base, random.getrandbits(48)))
            flags = random.choice(
                (0, 1, 3, 3, 3, 0x701, 0x703, 0x743, 0x7C3, random.getrandbits(12))
            )
            entries.append(target & 0xFFFF_FFFF_F000 | flags | random.choice((0, 0, 3 << 53)))
        loads.append(Load(page, struct.pack("<512Q", *entries)))
    table = pages[0] if pages else ram.base
    tcr = random.choice((25, 16, 24, 0, 63, random.getrandbits(64), 25 | 1 << 14, 25 | 2 << 14))
    registers = (
        ("ttbr0_el1", random.choice((table, table, value(random)))),
        ("ttbr1_el1", random.choice((table, value(random)))),
        ("tcr_el1", tcr),
        ("mair_el1", random.choice((0xFF, 0x04FF, random.getrandbits(64)))),
        ("sctlr_el1", random.choice((0x30D0_0801, 0x30D0_0805, random.getrandbits(32) | 1))),
    )
    return replace(case, loads=tuple(loads), regs=(*case.regs, *registers))


def _jump(case: Case, random: Random) -> Case:
    name = random.choice(("pc", "x0"))
    case = replace(case, regs=(*case.regs, (name, value(random))))
    return _insert(case, random, [0xD61F0000])


def _modify_code(case: Case, random: Random) -> Case:
    """Stores into the code around pc."""
    store = random.choice((0xB9000000, 0xF9000000, 0x39000000, 0xA9000000, 0x3D800000))
    words = [
        0x10000000 | random.randrange(-8, 16) << 5 & 0xFFFFE0,  # adr x0
        store | random.randrange(8) << 10 | random.randrange(1, 5),
        *random.choice(([], [0xD5033FDF], [0xD50B7520, 0xD5033F9F, 0xD5033FDF])),
    ]
    return _insert(case, random, words)


def _devices_on_odd_boundaries(case: Case, random: Random) -> Case:
    place = case.slots[0].base

    def address() -> int:
        return random.choice(
            (
                0x0900_0001,
                0x0900_0FFE,
                0x08FF_F000,
                place,
                place + 0xFFC,
                place - 2,
                0,
                (1 << 40) - 2,
            )
        ) + random.choice((0, 0, 1, 0x800))

    zones = tuple(
        c.CoalescedZone(address(), random.choice((0, 1, 3, 8, 0x1000, 0xFFFF_FFFF)))
        for _ in range(random.randrange(3))
    )
    bells = tuple(
        c.Ioeventfd(address(), random.choice((0, 1, 2, 4, 8)), random.choice((None, value(random))))
        for _ in range(random.randrange(3))
    )
    gic = random.choice(
        (
            case.gic,
            c.Gic(3, address(), redist=address()),
            c.Gic(2, address(), cpu=address()),
            c.Gic(3, 0x0800_0000, redist=0x0800_0000),
        )
    )
    device = c.Device("odd", address(), random.choice((1, 3, 0x1001, 1 << 40)))
    return replace(case, coalesced=zones, ioeventfds=bells, gic=gic, devices=(device,))


def _odd_memory(case: Case, random: Random) -> Case:
    """Slots that KVM refuses, or many that it takes."""
    base = case.slots[0].base
    if random.random() < 0.3:
        at = random.choice((base, base + 0x1000, base - 0x1000, 0, 1, 0xFF_FFFF_F000))
        size = random.choice((0, 1, 0x1000, 0x1001, 0x2000, 1 << 30, 1 << 39))
        more = [Memslot(at, size, random.random() < 0.4)]
    else:
        more = [
            Memslot(0x3000_0000 + 0x2000 * n, 0x1000 << random.randrange(2), n % 3 == 0)
            for n in range(random.choice((1, 2, 40)))
        ]
    return replace(case, slots=(*case.slots, *more))


def _odd_debug(case: Case, random: Random) -> Case:
    control = random.choice((0, 1, 2, 3, 0x20001, 0x20003, 0x30003, random.getrandbits(20)))
    return replace(
        case,
        debug=GuestDebug(
            control,
            tuple(value(random) for _ in range(random.randrange(17))),
            tuple(_odd_watch(random) for _ in range(random.randrange(17))),
        ),
    )


def _odd_watch(random: Random) -> Watchpoint:
    length = random.choice((1, 3, 8, 9, 64, 4096, 1 << 31))
    return Watchpoint(value(random), length, random.choice(("r", "w", "rw")))


def _odd_actions(case: Case, random: Random) -> Case:
    on = dict(case.on)
    for _ in range(random.randrange(1, 6)):
        at = random.randrange(12)
        on[at] = (*on.get(at, ()), random.choice(_ACTIONS)(case, random))
    return replace(case, on=tuple(sorted(on.items())))


def _forge(case: Case, random: Random) -> c.Action:
    field = random.choice(("exit_reason", "mmio.is_write", "mmio.len"))
    return c.SetRunField(field, random.choice((0, 1, 4, 6, 8, 255)))  # type: ignore[arg-type]


_ACTIONS: Final[tuple[Callable[[Case, Random], c.Action], ...]] = (
    _forge,
    lambda case, random: SetMpState(random.choice((0, 3, 10, 77))),
    lambda case, random: SetIrqLine(random.getrandbits(32) & random.choice((0x30003FF, -1)), 1),
    lambda case, random: c.AddMemslot(Memslot(case.slots[0].base, 0x1000)),
    lambda case, random: c.AddMemslot(Memslot(0x0900_0000, 0x1000, random.random() < 0.5)),
    lambda case, random: c.WriteMemory(value(random), random.randbytes(random.randrange(9))),
    lambda case, random: c.WriteMemory(
        BASE + 4 * random.randrange(16), word(random).to_bytes(4, "little")
    ),
    lambda case, random: c.SetRegister(
        random.choice([*CORE_REGISTERS, *SYSTEM_REGISTERS]), value(random)
    ),
    lambda case, random: SetVcpuEvents(
        random.random() < 0.5, random.random() < 0.5, random.choice((None, value(random)))
    ),
    lambda case, random: c.ImmediateExit(),
    lambda case, random: c.SkipInstruction(),
    lambda case, random: c.HostInterrupt(),
    lambda case, random: c.SetMmioData(random.getrandbits(64)),
    lambda case, random: SetGuestDebug(_odd_debug(case, random).debug or GuestDebug()),
    lambda case, random: SetGuestDebug(
        GuestDebug(abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_SINGLESTEP)
    ),
)

_CHANGES: Final[tuple[Callable[[Case, Random], Case], ...]] = (
    _other_words,
    _other_words,
    _other_words,
    _register_values,
    _register_values,
    _pstate,
    _own_tables,
    _own_tables,
    _jump,
    _modify_code,
    _modify_code,
    _devices_on_odd_boundaries,
    _odd_memory,
    _odd_debug,
    _odd_debug,
    _odd_actions,
    _odd_actions,
)


def reads_time(case: Case) -> bool:
    """Whether the guest may read the counter, which goes on between two runs."""
    actions = (*case.before, *(action for _, actions in case.on for action in actions))
    written = [action.data for action in actions if isinstance(action, c.WriteMemory)]
    return any(
        word & ~0xFF == _COUNTER
        for data in [*(load.data for load in case.loads), *written]
        for (word,) in struct.iter_unpack("<I", data[: len(data) & ~3])
    )
