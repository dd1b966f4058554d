"""QEMU 10.0.13 and 7.2.22, from their sources and as both were recorded under six kernels.

The functions named are those of ``target/arm/kvm*.c``, ``accel/kvm/kvm-all.c`` and ``gdbstub/``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.ioctls.vm import Ask
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.capabilities import NUMBERS
from vcpu_scenario.kvm.plainioctls import CHECK_EXTENSION
from vcpu_scenario.machine.errors import KvmError
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.trace import Exit, StopReason
from vcpu_scenario.vmm.debugger import BRK, reason_of, stepping
from vcpu_scenario.vmm.memory import Memory, Unreachable
from vcpu_scenario.vmm.told import SIGABRT, Stopped, Told, Watch, Why
from vcpu_scenario.vmm.vmms.base import Vmm
from vcpu_scenario.vmm.vmms.exception import take_exception
from vcpu_scenario.vmm.vmms.qemu_registers import put_counters, shown, value_of
from vcpu_scenario.vmm.vmms.terms import (
    CPSR,
    FPCR,
    FPSR,
    HARDWARE,
    PC,
    RECORDED,
    SP,
    SP_EL0,
    SP_EL1,
    WHY,
    Known,
    Refused,
    Unknown,
)

_BANKS: Final = (SP_EL0, SP_EL1)
_SPSEL: Final = 1
_MOST: Final = tuple(NUMBERS[f"guest_debug_hw_{kind}"] for kind in ("bps", "wps"))
"""How many breakpoints and watchpoints there are (``kvm_arm_init_debug``)."""
_BITS: Final = {CPSR: 0xFFFF_FFFF, FPSR: 0xF800_009F, FPCR: 0x07F7_0000}
"""What ``env`` has of a register: of FPSR and FPCR what a CPU without FP16 or traps has
(``vfp_set_fpsr``, ``vfp_set_fpcr``)."""
_ORDER: Final = (*range(31), SP, CPSR, PC, *range(34, 68))
"""In which ``kvm_arch_put_registers`` writes them."""


class Qemu(Vmm):
    """It has a copy of the registers, ``env``, into which it reads KVM's at an exit for its
    debugger, or as that asks for all of them or for memory (``cpu_synchronize_state``). A single
    one is read from the copy as it is, and written to it: after a ^C that is what was at the stop
    before, and what is written is lost. Where they are KVM's they are put back as it goes on.
    """

    name = "qemu"
    known = Known("10.0.13", RECORDED)
    kicks = True
    drops_refused: ClassVar[bool] = False
    """Whether registers that the kernel refuses are dropped without a word, as up to 7.2; else the
    VM stops for good."""
    writes_devices: ClassVar[bool] = True
    """Whether its debugger writes devices, and is told where there is nothing; up to 7.2 such a
    write is lost (``cpu_memory_rw_debug``)."""
    types_system = True
    build: ClassVar[str] = "qemu"
    """Whose system registers it shows."""

    _env: dict[int, int]
    _dirty: set[int]
    _synchronized: bool
    _was_reset: bool
    _runs: bool

    def __init__(self, machine: Machine, memory: Memory) -> None:
        super().__init__(machine, memory)
        self._most = tuple(machine.ask(Ask(CHECK_EXTENSION, number)) for number in _MOST)
        self._uses: dict[int, int] = {}
        self.steps = True
        """``gdbserver_state.sstep_flags``: whether a step is one."""
        self.physical = False
        """``PhyMemMode``: whether the debugger's addresses are physical."""

    def fresh(self) -> dict[str, Any]:
        """``CPUState``."""
        flags = {"_synchronized": False, "_was_reset": True, "_runs": False}
        return super().fresh() | flags | {"_env": {}, "_dirty": set()}

    @property
    def system_registers(self) -> tuple[str, ...]:
        return tuple(each.name for each in shown(self.build))

    # -- breakpoints -----------------------------------------------------------------------------

    def insert(self, kind: int, addr: int, length: int) -> None:
        """``insert_hw_breakpoint`` takes any address."""
        if kind != HARDWARE:
            super().insert(kind, addr, length)
        elif len(self.hardware) < self._most[0]:
            self.hardware.append(addr)
            self.points_changed()
        else:
            raise Refused

    def insert_software(self, addr: int) -> None:
        """``kvm_insert_breakpoint``: one that is set again is only counted."""
        super().insert_software(addr)
        self._uses[addr] = self._uses.get(addr, 0) + 1

    def remove_software(self, addr: int) -> None:
        """``kvm_arch_remove_sw_breakpoint`` refuses where the BRK is not there any more."""
        if addr not in self.software:
            raise Refused
        if self._uses[addr] > 1:
            self._uses[addr] -= 1
            return
        try:
            if self.read_memory(addr, len(BRK)) != BRK:
                raise Refused
        except Unreachable:
            raise Refused from None
        super().remove_software(addr)
        del self._uses[addr]

    def insert_watch(self, watch: Watch) -> None:
        """``insert_hw_watchpoint``: any length up to 8, and powers of two."""
        length = watch.length
        if len(self.watches) >= self._most[1] or (length > 8 and length & length - 1):
            raise Refused
        self.watches.append(watch)

    def remove_watch(self, watch: Watch) -> None:
        """``delete_hw_watchpoint``: the first in whose range the address is."""
        found = self._watching(watch.addr)
        if found is None:
            raise Refused
        self.watches.remove(found)

    def _watching(self, addr: int) -> Watch | None:
        return next((one for one in self.watches if watches(one, addr)), None)

    # -- registers and memory --------------------------------------------------------------------

    def read_register(self, number: int) -> int:
        if number not in self._env:
            system = number > FPCR
            self._env[number] = self._system(number) if system else super().read_register(number)
        return self._env[number]

    def _system(self, number: int) -> int:
        """One that was not looked at before the guest ran last is lost to us until all are read
        again."""
        found = None if self._runs else value_of(self.machine, shown(self.build)[number - FPCR - 1])
        if found is None:
            raise Unknown
        return found

    def read_registers(self) -> tuple[int, ...]:
        self.synchronize()
        return self._core()

    def state(self) -> tuple[int, ...]:
        return super().read_registers()

    def _core(self) -> tuple[int, ...]:
        if not self._env:
            self._env = dict(enumerate(super().read_registers()))
        return tuple(map(self.read_register, range(CPSR + 1)))

    def synchronize(self) -> bool:
        changes, self._synchronized = not self._synchronized, True
        if changes:
            self._env, self._dirty, self._runs = {}, set(), False
            self._put_counters(self._was_reset)
        return changes

    def _put_counters(self, puts: bool) -> None:
        if puts:
            put_counters(self.machine)
            self._was_reset = False

    @property
    def translates(self) -> bool:
        return not self.physical

    def stack_pointer(self) -> int:
        return _BANKS[self.read_register(CPSR) & _SPSEL]

    def write_register(self, number: int, value: int) -> None:
        self.read_register(SP)  # the bank in use before PSTATE may be another one
        self._env[number] = value & _BITS.get(number, value)
        self._dirty.add(number)
        if number == CPSR:
            self._dirty.add(SP)

    def _put(self) -> None:
        """``kvm_arch_put_registers``. Raises :class:`KvmError` at the first that is refused."""
        self._put_counters(self._was_reset or self._synchronized)
        dirty, env = self._dirty if self._synchronized else set(), self._env
        if self.drops_refused:
            self._dirty, self._synchronized = set(), False
        for number in _ORDER:
            if number not in dirty:
                continue
            if number == SP:
                pstate = env.get(CPSR)
                if pstate is None:
                    pstate = super().read_register(CPSR)
                self.machine.set_one_reg(_BANKS[pstate & _SPSEL], env[SP])
            elif not self._write(number, env[number]):
                raise KvmError(22, "KVM_SET_ONE_REG")
        self._dirty, self._synchronized = set(), False

    def _write(self, number: int, value: int) -> bool:
        try:
            super().write_register(number, value)
        except Refused:
            return False
        return True

    def read_memory(self, addr: int, length: int) -> bytes:
        if self.physical:
            return self._read_physical(addr, length)
        self.synchronize()
        return super().read_memory(addr, length)

    def _read_physical(self, addr: int, length: int) -> bytes:
        """``cpu_physical_memory_read``, which takes no notice of errors."""
        try:
            return self.memory.read(addr, length)
        except Unreachable:
            return bytes(length)

    def write_memory(self, addr: int, data: bytes) -> None:
        if not self.physical:
            self.synchronize()
        if self.writes_devices:
            if self.physical:
                self.memory.write(addr, data)
            else:
                super().write_memory(addr, data)
            return
        for n, byte in enumerate(data):
            ipa = addr + n if self.physical else self.memory.translate(addr + n)
            try:
                self.memory.write(ipa, bytes([byte]), devices=False)
            except Unreachable:
                continue

    # -- running ---------------------------------------------------------------------------------

    def resume(self, step: bool) -> Told | None:
        if not self.dead:
            self._core()
            try:
                self._put()
            except KvmError as refusal:
                self.dead = not self.drops_refused
                if self.dead:
                    words = f"Failed to put registers after init: errno {refusal.errno}"
                    return Stopped(Why.LOST, SIGABRT, words=words)
        self._runs = True
        return super().resume(self.stepping or (step and self.steps))

    def tells(self, exit_: Exit) -> Told | None:
        """``kvm_arm_handle_debug``: only of what the debugger itself has set."""
        reason = reason_of(exit_)
        if reason is StopReason.WATCHPOINT:
            watch = self._watching(exit_.fields["far"])
            return None if watch is None else Stopped(Why.WATCH, watch=watch)
        if reason is None or not _HAS_SET[reason](self, exit_):
            return None
        return Stopped(WHY[reason])

    def exited(self, exit_: Exit) -> Told | None:
        """What the debugger has not set is the guest's own; but a step that nobody asked for is
        only an error of QEMU's. An access without a syndrome becomes an external abort
        (``kvm_arm_handle_dabt_nisv``)."""
        told, debug = self.tells(exit_), reason_of(exit_) is not None
        if debug:
            self.synchronize()
        if told is not None or exit_.ret:
            return told
        if exit_.exit == "ARM_NISV":
            self.machine.set_vcpu_events(abi.kvm_vcpu_events(ext_dabt_pending=1))
            self.gave = True
        elif reason_of(exit_) not in (None, StopReason.STEP):
            take_exception(self.machine, exit_.fields["hsr"])
            self.gave = True
        if debug:
            self._goes_on()
        return None

    def _goes_on(self) -> None:
        """What KVM has now is what the copy has until the next exit for the debugger."""
        self._env = {}
        self._core()
        self._synchronized = False

    def stopped(self) -> None:
        """``gdb_vm_state_change`` switches the step of the vCPU that is told of off; another that
        stepped as well goes on to."""
        if self.dead:
            return
        if self.stepping:
            self.stepping = False
            self.ask(self.wanted())

    def wanted(self) -> GuestDebug:
        wanted = super().wanted()
        return wanted if wanted.control else GuestDebug()

    def reset(self) -> None:
        """The image is loaded over its BRKs, which it goes on to believe in."""
        self._goes_on()


def watches(watch: Watch, addr: int) -> bool:
    """``check_watchpoint_in_range``: of up to 8 bytes only the first one counts, and of a larger
    range the byte behind it as well; its mask has no more than four bits, and the range begins at a
    multiple of what is left of its size in the 5 bits of a shift."""
    if watch.length <= 8:
        return bool(watch.length) and addr == watch.addr
    bits = watch.length.bit_length() - 1
    first = watch.addr & ~((1 << (bits & 0x1F)) - 1)
    mask = bits & 0xF
    return first <= addr <= first + (1 << mask if mask else 0)


_HAS_SET: Final[Mapping[StopReason, Callable[[Qemu, Exit], bool]]] = {
    StopReason.STEP: lambda vmm, exit_: stepping(vmm.debug),
    StopReason.BRK: lambda vmm, exit_: exit_.pc in vmm.software,
    StopReason.HARDWARE_BREAKPOINT: lambda vmm, exit_: exit_.pc in vmm.hardware,
}


class Qemu72(Qemu):
    """Debian 12's."""

    name = "qemu-7.2"
    known = Known("7.2.22", RECORDED)
    drops_refused = True
    writes_devices = False
    types_system = False
    build = "qemu-7.2"
