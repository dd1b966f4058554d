"""What the VMM does in a generated case: debug requests, and actions between two runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final, TypeAlias

from msgspec import Struct

import vcpu_scenario.case as c
from vcpu_scenario.analysis.generate.surroundings import UART, Surroundings
from vcpu_scenario.ioctls.vcpu import (
    GuestDebug,
    SetGuestDebug,
    SetIrqLine,
    SetVcpuEvents,
    Watchpoint,
)
from vcpu_scenario.ioctls.vm import Into, RestoreSnapshot, TakeSnapshot
from vcpu_scenario.kvm import abi

STEP: Final = abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_SINGLESTEP
SOFTWARE: Final = abi.KVM_GUESTDBG_USE_SW_BP
HARDWARE: Final = abi.KVM_GUESTDBG_USE_HW

_NOP: Final = bytes.fromhex("1f2003d5")


class Course(Struct, frozen=True):
    """What requests and actions may speak of: addresses of code and of data."""

    random: Random
    around: Surroundings
    code: Sequence[int]
    data: int
    exits: int
    """Exits after which there may be actions."""
    actions: Mapping[str, Make]

    def debug(self) -> GuestDebug | None:
        kind = self.random.random()
        if kind < 0.2:
            return None
        if kind < 0.65:
            return GuestDebug(STEP | SOFTWARE * (self.random.random() < 0.8))
        return self.request()

    def request(self) -> GuestDebug:
        """Any ``KVM_SET_GUEST_DEBUG`` that a VMM might make."""
        random = self.random
        if random.random() < 0.15:
            return GuestDebug(0)
        control = abi.KVM_GUESTDBG_ENABLE
        control |= abi.KVM_GUESTDBG_SINGLESTEP * (random.random() < 0.5)
        control |= SOFTWARE * (random.random() < 0.7)
        if random.random() < 0.6:
            return GuestDebug(control)
        points = tuple(random.sample(self.code, min(len(self.code), random.randrange(3))))
        watches = tuple(self._watch() for _ in range(random.randrange(0 if points else 1, 3)))
        return GuestDebug(control | HARDWARE, points, watches)

    def _watch(self) -> Watchpoint:
        random = self.random
        base = random.choice((self.data, self.data, UART))
        length = random.choice((1, 2, 4, 8, 8, 16))
        offset = random.randrange(0, 0x40, max(length, 1))
        return Watchpoint(base + offset, length, random.choice(("r", "w", "rw")))

    def before(self) -> tuple[c.Action, ...]:
        if self.random.random() < 0.75:
            return ()
        return tuple(self._action() for _ in range(self.random.randrange(1, 3)))

    def on(self) -> tuple[tuple[int, tuple[c.Action, ...]], ...]:
        if self.random.random() < 0.3:
            return ()
        indices = self.random.sample(range(self.exits), self.random.randrange(1, 5))
        return tuple(
            (index, tuple(self._action() for _ in range(self.random.randrange(1, 3))))
            for index in sorted(indices)
        )

    def _action(self) -> c.Action:
        makers, weights = zip(*self.actions.values(), strict=True)
        make: Callable[[Course], c.Action] = self.random.choices(makers, weights)[0]
        return make(self)


def _set_guest_debug(course: Course) -> c.Action:
    return SetGuestDebug(course.request())


def set_register(course: Course) -> c.Action:
    """pc, or one that holds values."""
    random = course.random
    if random.random() < 0.15:
        return c.SetRegister("pc", random.choice(course.code))
    return c.SetRegister(f"x{random.randrange(5)}", random.getrandbits(random.choice((8, 64))))


def _write_memory(course: Course) -> c.Action:
    random = course.random
    if random.random() < 0.3:
        return c.WriteMemory(random.choice(course.code), _NOP)
    return c.WriteMemory(course.data + random.randrange(0x38), random.randbytes(8))


def set_irq_line(course: Course) -> c.Action:
    """A line of the vGIC, or of the CPU where there is none."""
    random = course.random
    level = int(random.random() < 0.7)
    gic = course.around.gic
    if gic is None:
        number = abi.KVM_ARM_IRQ_TYPE_CPU << abi.KVM_ARM_IRQ_TYPE_SHIFT | random.randrange(2)
    elif random.random() < 0.3:
        number = abi.KVM_ARM_IRQ_TYPE_PPI << abi.KVM_ARM_IRQ_TYPE_SHIFT | random.randrange(16, 32)
    else:
        number = abi.KVM_ARM_IRQ_TYPE_SPI << abi.KVM_ARM_IRQ_TYPE_SHIFT | random.randrange(32, 64)
    return SetIrqLine(number, level)


def _set_run_field(course: Course) -> c.Action:
    return course.random.choice(
        (
            c.SetRunField("exit_reason", 0),
            c.SetRunField("mmio.is_write", 1),
            c.SetRunField("mmio.is_write", 0),
            c.SetRunField("mmio.len", 1),
        )
    )


def _set_vcpu_events(course: Course) -> c.Action:
    random = course.random
    if random.random() < 0.5:
        return SetVcpuEvents(ext_dabt=True)
    return SetVcpuEvents(serror=True, serror_esr=random.choice((None, None, 0x123)))


def _add_memslot(course: Course) -> c.Action:
    return c.AddMemslot(c.Memslot(0x3000_0000, 0x2000, readonly=course.random.random() < 0.3))


def _set_pstate(course: Course) -> c.Action:
    """Flags, masks, the stack pointer of EL1, and now and then a step that is armed, or EL0."""
    random = course.random
    pstate = random.getrandbits(4) << 28 | random.getrandbits(4) << 6 | random.choice((4, 5, 5, 5))
    if random.random() < 0.1:
        pstate &= ~0xF
    return c.SetRegister("pstate", pstate | (random.random() < 0.2) << 21)


def _set_system_register(course: Course) -> c.Action:
    random = course.random
    name = random.choice(("elr_el1", "spsr_el1", "sp_el1", "tpidr_el1", "far_el1", "esr_el1"))
    return c.SetRegister(name, random.choice((*course.code, random.getrandbits(32))))


Make: TypeAlias = tuple[Callable[[Course], c.Action], int]
"""Makes a kind of action, and its weight."""

ACTIONS: Final[dict[str, Make]] = {
    "debug": (_set_guest_debug, 12),
    "set": (set_register, 4),
    "write": (_write_memory, 3),
    "irq": (set_irq_line, 5),
    "immediate_exit": (lambda course: c.ImmediateExit(), 6),
    "mmio_data": (lambda course: c.SetMmioData(course.random.getrandbits(64)), 2),
    "forge": (_set_run_field, 1),
    "skip_instruction": (lambda course: c.SkipInstruction(), 1),
    "vcpu_events": (_set_vcpu_events, 1),
    "add_memory": (_add_memslot, 1),
    "host_interrupt": (lambda course: c.HostInterrupt(), 2),
}
"""Every kind of action with its weight."""

WIDER_ACTIONS: Final = ACTIONS | {
    "set_pstate": (_set_pstate, 3),
    "set_system_register": (_set_system_register, 2),
}
"""The same, and registers of the system."""


On: TypeAlias = tuple[tuple[int, tuple[c.Action, ...]], ...]


def with_snapshot(course: Course, on: On) -> On:
    """The same, with a snapshot that is taken after some exit and restored after that or a later
    one, before what is done there otherwise."""
    random = course.random
    taken = random.randrange(course.exits // 4)
    restored = taken + random.choice((0, 0, 1, random.randrange(course.exits // 2)))
    into: Into = random.choice(("new_vm", "new_vm", "same_vm"))
    again = (SetGuestDebug(course.request()),) if random.random() < 0.6 else ()
    done = dict(on)
    done[restored] = (RestoreSnapshot("a", into), *again, *done.get(restored, ()))
    done[taken] = (TakeSnapshot("a"), *done.get(taken, ()))
    return tuple(sorted(done.items()))
