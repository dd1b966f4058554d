"""A VMM with a debugger attached: what it does where a real one does something.

A personality acts over :class:`~vcpu_scenario.machine.interface.Machine` alone, so that the same
one drives the emulated KVM and a real one. :class:`~vcpu_scenario.vmm.session.Session` calls it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from vcpu_scenario.actions.guestdebug import struct_of
from vcpu_scenario.ioctls.vcpu import GuestDebug, Watchpoint
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import CORE_REGISTERS, FP_REGISTERS
from vcpu_scenario.machine.errors import KvmError
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.trace import Exit
from vcpu_scenario.vmm.debugger import BRK, reason_of
from vcpu_scenario.vmm.memory import Memory, Unreachable
from vcpu_scenario.vmm.told import Stopped, Told, Watch, Why
from vcpu_scenario.vmm.vmms.terms import (
    CPSR,
    FPCR,
    FPSR,
    HARDWARE,
    PC,
    SOFTWARE,
    SP,
    SP_EL0,
    SP_EL1,
    V0,
    WATCHES,
    WHY,
    Refused,
)
from vcpu_scenario.vmm.vmms.traits import Traits

_IDS: Final = {
    **{n: CORE_REGISTERS[f"x{n}"] for n in range(31)},
    PC: CORE_REGISTERS["pc"],
    CPSR: CORE_REGISTERS["pstate"],
    **{V0 + n: FP_REGISTERS[f"v{n}"] for n in range(32)},
    FPSR: FP_REGISTERS["fpsr"],
    FPCR: FP_REGISTERS["fpcr"],
}
_X: Final = tuple(_IDS[n] for n in range(SP))
_EL1H: Final = 0b0101


class Vmm(Traits):
    """One that tells of every ``KVM_EXIT_DEBUG``, asks for what its debugger asks, and does nothing
    of its own. The others differ from it in what they override."""

    inside = False
    """Whether the vCPU is in ``KVM_RUN`` while the debugger looks, where it is not paused."""
    dead = False
    """Whether it stopped for good: it answers no resume any more."""
    stepping: bool
    debug: GuestDebug
    """What KVM was asked for last."""

    def __init__(self, machine: Machine, memory: Memory) -> None:
        self.machine: Final = machine
        self.memory: Final = memory
        self.software: dict[int, bytes] = {}
        """What was at the address of each software breakpoint."""
        self.hardware: list[int] = []
        self.watches: list[Watch] = []
        self.vcpu = 0
        """The one that all is about."""
        self._others: dict[int, dict[str, Any]] = {}
        vars(self).update(self.fresh())
        self.gave = False
        """Whether the exit that came last was made an exception of the guest's own."""

    def select(self, number: int) -> None:
        """All is about the vCPU of that number from now on."""
        self._others[self.vcpu] = {name: vars(self)[name] for name in self.fresh()}
        vars(self).update(self._others.pop(number, self.fresh()))
        self.vcpu = number

    @contextmanager
    def at(self, number: int) -> Iterator[None]:
        """All is about the vCPU of that number meanwhile."""
        before = self.vcpu
        self._turn_to(number)
        try:
            yield
        finally:
            self._turn_to(before)

    def _turn_to(self, number: int) -> None:
        if number != self.vcpu:
            self.machine.select(number)
            self.select(number)

    def fresh(self) -> dict[str, Any]:
        """What it has of each vCPU for itself, by attribute, as of one that never ran."""
        return {"stepping": False, "debug": GuestDebug()}

    # -- breakpoints -----------------------------------------------------------------------------

    def insert(self, kind: int, addr: int, length: int) -> None:
        """Sets a breakpoint of a kind in :data:`POINTS`. Raises :class:`Refused`."""
        if kind == SOFTWARE:
            self.insert_software(addr)
        elif kind == HARDWARE:
            if len(self.hardware) >= self.most_hardware:
                raise Refused
            self.hardware.append(addr)
        else:
            self.insert_watch(Watch(addr, length, WATCHES[kind]))
        if kind != SOFTWARE:
            self.points_changed()

    def remove(self, kind: int, addr: int, length: int) -> None:
        """Takes a breakpoint away. Raises :class:`Refused`."""
        if kind == SOFTWARE:
            self.remove_software(addr)
        elif kind == HARDWARE:
            if addr not in self.hardware:
                raise Refused
            self.hardware.remove(addr)
        else:
            self.remove_watch(Watch(addr, length, WATCHES[kind]))
        if kind != SOFTWARE:
            self.points_changed()

    def points_changed(self) -> None:
        """The debugger has set or removed something that is in hardware."""

    def insert_software(self, addr: int) -> None:
        if addr not in self.software:
            try:
                self.software[addr] = self.read_memory(addr, len(BRK))
                self.write_memory(addr, BRK)
            except Unreachable:
                self.software.pop(addr, None)
                raise Refused from None

    def remove_software(self, addr: int) -> None:
        if addr not in self.software:
            raise Refused
        try:
            self.write_memory(addr, self.software.pop(addr))
        except Unreachable:
            raise Refused from None

    def insert_watch(self, watch: Watch) -> None:
        length = watch.length
        within = length <= 8 and watch.addr % 8 + length <= 8
        power = length & length - 1 == 0 and watch.addr % length == 0 if length else False
        if len(self.watches) >= self.most_watches or not length or not (within or power):
            raise Refused
        self.watches.append(watch)

    def remove_watch(self, watch: Watch) -> None:
        if watch not in self.watches:
            raise Refused
        self.watches.remove(watch)

    # -- registers and memory --------------------------------------------------------------------

    @property
    def system_registers(self) -> tuple[str, ...]:
        """Names of those that it shows behind :data:`FPCR`, of 64 bits each."""
        return ()

    def read_register(self, number: int) -> int:
        """A register by its number in GDB's description. Raises :class:`Unknown`."""
        return self.machine.get_one_reg(self.stack_pointer() if number == SP else _IDS[number])

    def read_registers(self) -> tuple[int, ...]:
        """x0 to x30, sp, pc and cpsr at once."""
        return tuple(self.machine.get_regs((*_X, self.stack_pointer(), _IDS[PC], _IDS[CPSR])))

    def state(self) -> tuple[int, ...]:
        """The same as KVM has them, where the debugger may be shown others."""
        return self.read_registers()

    def write_register(self, number: int, value: int) -> None:
        """Raises :class:`Refused` where the kernel refuses."""
        try:
            self.machine.set_one_reg(self.stack_pointer() if number == SP else _IDS[number], value)
        except KvmError:
            raise Refused from None

    def synchronize(self) -> bool:
        """The debugger asked for all registers or for memory; whether others are shown now."""
        return False

    @property
    def translates(self) -> bool:
        """Memory that the debugger reads is by virtual addresses, for which registers are read."""
        return True

    def stack_pointer(self) -> int:
        """The id of what it shows as ``sp``: here the one in use."""
        return SP_EL1 if self.machine.get_one_reg(_IDS[CPSR]) & 0xF == _EL1H else SP_EL0

    def read_memory(self, addr: int, length: int) -> bytes:
        """What is at a virtual address.

        Raises :class:`~vcpu_scenario.vmm.memory.Unreachable`.
        """
        return self.memory.read_virtual(addr, length)

    def write_memory(self, addr: int, data: bytes) -> None:
        """Raises :class:`~vcpu_scenario.vmm.memory.Unreachable`."""
        self.memory.write_virtual(addr, data)

    # -- running ---------------------------------------------------------------------------------

    def shown(self, number: int) -> int:
        """The vCPU whose registers it shows where its debugger asks for those of ``number``."""
        return number

    def begins(self) -> None:
        """What it does to the vCPU before anything runs."""

    def resumes(self, steps: Sequence[bool | None]) -> Sequence[bool | None]:
        """What it does of what its debugger asks of each vCPU: a step, to go on, or nothing; it is
        done by :meth:`resume` then. vCPU 0 is selected."""
        return steps

    def resume(self, step: bool) -> Told | None:
        """What it does as it continues from a stop; what it tells where it cannot."""
        self.stepping = step
        self.ask(self.wanted())
        return None

    def wanted(self) -> GuestDebug:
        """What it asks KVM for."""
        return self.request(
            (abi.KVM_GUESTDBG_SINGLESTEP if self.stepping else 0)
            | (abi.KVM_GUESTDBG_USE_SW_BP if self.software else 0)
            | (abi.KVM_GUESTDBG_USE_HW if self.hardware or self.watches else 0)
        )

    def request(self, control: int, watches: Sequence[Watch] | None = None) -> GuestDebug:
        """A request with everything that the debugger has set in hardware, of watchpoints those of
        ``watches`` if that is given."""
        watched = tuple(Watchpoint(*one) for one in (self.watches if watches is None else watches))
        enable = abi.KVM_GUESTDBG_ENABLE if control else 0
        return GuestDebug(control | enable, tuple(self.hardware), watched)

    def ask(self, debug: GuestDebug) -> None:
        """``KVM_SET_GUEST_DEBUG``, where it is not what was asked for last."""
        if debug != self.debug:
            self.debug = debug
            self.machine.set_guest_debug(struct_of(debug))

    def tells(self, exit_: Exit) -> Told | None:
        """What the debugger is told of an exit that was answered, None where the VMM continues;
        nothing is done."""
        reason = reason_of(exit_)
        return None if reason is None else Stopped(WHY[reason])

    def exited(self, exit_: Exit) -> Told | None:
        """What it does at an exit, and what of it it tells."""
        return self.tells(exit_)

    def stopped(self) -> None:
        """What it does as it has told of a stop, before the debugger acts."""

    def interrupted(self) -> Told:
        """What the debugger is told of its ^C."""
        return Stopped(Why.INTERRUPT, self.interrupt)

    def resets(self) -> Told | None:
        """What it does at ``KVM_SYSTEM_EVENT_RESET``: what it tells then, None where it loads the
        guest's image again and starts it."""
        return None

    def reset(self) -> None:
        """The guest's image was loaded again."""
        self.software.clear()
