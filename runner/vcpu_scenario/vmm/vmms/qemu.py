"""QEMU 10.0.13 and 7.2.22, from their sources and as both were recorded under six kernels.

The functions named are those of ``target/arm/kvm*.c``, ``accel/kvm/kvm-all.c`` and ``gdbstub/``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

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
from vcpu_scenario.vmm.vmms.exception import take_exception
from vcpu_scenario.vmm.vmms.qemu_copy import Copying
from vcpu_scenario.vmm.vmms.terms import HARDWARE, RECORDED, WHY, Known, Refused

_MOST: Final = tuple(NUMBERS[f"guest_debug_hw_{kind}"] for kind in ("bps", "wps"))
"""How many breakpoints and watchpoints there are (``kvm_arm_init_debug``)."""


class Qemu(Copying):
    """The newer of the two that were recorded."""

    name = "qemu"
    known = Known("10.0.13", RECORDED)
    kicks = True
    types_system = True

    def __init__(self, machine: Machine, memory: Memory) -> None:
        super().__init__(machine, memory)
        self._most = tuple(machine.ask(Ask(CHECK_EXTENSION, number)) for number in _MOST)
        self._uses: dict[int, int] = {}
        self.steps = True
        """``gdbserver_state.sstep_flags``: whether a step is one."""

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

    def stopped(self) -> None:
        """``gdb_vm_state_change`` switches the step of the vCPU that is told of off; another that
        stepped as well goes on stepping."""
        if self.dead:
            return
        if self.stepping:
            self.stepping = False
            self.ask(self.wanted())

    def wanted(self) -> GuestDebug:
        wanted = super().wanted()
        return wanted if wanted.control else GuestDebug()

    def reset(self) -> None:
        """The image is loaded over its BRKs, which it continues to believe in."""
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
