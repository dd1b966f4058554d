"""What debuggers of other VMMs than QEMU reach: memory alone, by a walk of the VMM's own."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.kvm.registers import id_of
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.vmm.memory import Memory, Unreachable
from vcpu_scenario.vmm.vmms.base import Vmm
from vcpu_scenario.vmm.vmms.terms import PC, SP_EL0

_4K: Final = 2


def translate(machine: Machine, memory: Memory, addr: int) -> int:
    """The walk through TTBR1_EL1 alone, of 4 KiB pages: the IPA of an address of the kernel's half,
    the address itself before TCR_EL1 is set."""
    tcr = machine.get_one_reg(id_of("tcr_el1"))
    if not tcr >> 16 & 0x3F:
        return addr
    if tcr >> 30 & 3 != _4K:
        raise Unreachable(addr)
    return memory.translate(addr)


def is_kernel(addr: int) -> bool:
    """Whether bit 55 says that TTBR1 translates the address."""
    return bool(addr >> 55 & 1)


class MemoryAlone(Vmm):
    """No device is read or written for its debugger.

    None of these asks for ``KVM_EXIT_ARM_NISV``, and each ends at an exit that it does not know:
    ``handle_kvm_exit`` of Firecracker's ``vcpu.rs``, ``run`` of Cloud Hypervisor's ``kvm/mod.rs``,
    the panic of crosvm's ``hypervisor/src/kvm/mod.rs``, ``panic_kvm`` of kvmtool's ``kvm-cpu.c``.
    """

    knows_nisv = False

    def ipa(self, addr: int) -> int:
        """Where the VMM looks for what its debugger calls ``addr``: here there.

        Raises :class:`~vcpu_scenario.vmm.memory.Unreachable`.
        """
        return addr

    def read_memory(self, addr: int, length: int) -> bytes:
        return self.memory.read(self.ipa(addr), length, devices=False)

    def write_memory(self, addr: int, data: bytes) -> None:
        self.memory.write(self.ipa(addr), data, devices=False)


class UserRegisters(MemoryAlone):
    """It shows ``user_pt_regs.sp`` as ``sp``, which is SP_EL0 wherever the guest is."""

    def stack_pointer(self) -> int:
        return SP_EL0


class FewRegisters(UserRegisters):
    """Of ``user_pt_regs`` it shows x0 to x30, sp and pc: ``cpsr`` is not read and stays 0."""

    def read_register(self, number: int) -> int:
        return super().read_register(number) if number <= PC else 0

    def read_registers(self) -> tuple[int, ...]:
        return (*super().read_registers()[: PC + 1], 0)

    def write_register(self, number: int, value: int) -> None:
        if number <= PC:
            super().write_register(number, value)
