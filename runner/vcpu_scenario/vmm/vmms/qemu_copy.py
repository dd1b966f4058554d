"""The copy that a QEMU has of its vCPU's registers, and what its debugger sees through it.

The functions named are those of ``target/arm/kvm*.c`` and ``accel/kvm/kvm-all.c``.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from vcpu_scenario.machine.errors import KvmError
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.vmm.memory import Memory, Unreachable
from vcpu_scenario.vmm.vmms.base import Vmm
from vcpu_scenario.vmm.vmms.qemu_registers import put_counters, shown, value_of
from vcpu_scenario.vmm.vmms.terms import CPSR, FPCR, FPSR, PC, SP, SP_EL0, SP_EL1, Refused, Unknown

_BANKS: Final = (SP_EL0, SP_EL1)
_SPSEL: Final = 1
_BITS: Final = {CPSR: 0xFFFF_FFFF, FPSR: 0xF800_009F, FPCR: 0x07F7_0000}
"""What ``env`` has of a register: of FPSR and FPCR what a CPU without FP16 or traps has
(``vfp_set_fpsr``, ``vfp_set_fpcr``)."""
_ORDER: Final = (*range(31), SP, CPSR, PC, *range(34, 68))
"""In which ``kvm_arch_put_registers`` writes them."""


class Copying(Vmm):
    """It has a copy of the registers, ``env``, into which it reads KVM's at an exit for its
    debugger, or as that asks for all of them or for memory (``cpu_synchronize_state``). A single
    one is read from the copy as it is, and written to it: after a ^C that is what was at the stop
    before, and what is written is lost. Where they are KVM's they are put back as it continues.
    """

    drops_refused: ClassVar[bool] = False
    """Whether registers that the kernel refuses are dropped without a word, as up to 7.2; else the
    VM stops for good."""
    writes_devices: ClassVar[bool] = True
    """Whether its debugger writes devices, and is told where there is nothing; up to 7.2 such a
    write is lost (``cpu_memory_rw_debug``)."""
    build: ClassVar[str] = "qemu"
    """Whose system registers it shows."""

    _env: dict[int, int]
    _dirty: set[int]
    _synchronized: bool
    _was_reset: bool
    _runs: bool

    def __init__(self, machine: Machine, memory: Memory) -> None:
        super().__init__(machine, memory)
        self.physical = False
        """``PhyMemMode``: whether the debugger's addresses are physical."""

    def fresh(self) -> dict[str, Any]:
        """``CPUState``."""
        flags = {"_synchronized": False, "_was_reset": True, "_runs": False}
        return super().fresh() | flags | {"_env": {}, "_dirty": set()}

    @property
    def system_registers(self) -> tuple[str, ...]:
        return tuple(each.name for each in shown(self.build))

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

    def _goes_on(self) -> None:
        """What KVM has now is what the copy has until the next exit for the debugger."""
        self._env = {}
        self._core()
        self._synchronized = False
