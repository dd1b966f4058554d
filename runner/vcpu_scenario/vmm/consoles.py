"""Accesses to consoles, which the VMM answers and nobody is told of."""

from __future__ import annotations

from ctypes import c_uint64
from typing import Final

from vcpu_scenario.case import Case
from vcpu_scenario.kvm import abi
from vcpu_scenario.vmm.devices import Bus


class Consoles:
    """Those of a case; ``left`` is how many accesses are still answered without an exit."""

    def __init__(self, case: Case, bus: Bus) -> None:
        self._bus: Final = bus
        self._places: Final = [
            (device.base, device.base + device.size) for device in case.devices if device.console
        ]
        self.answered = False
        """Whether any access was."""
        self.left = case.console_accesses

    def answer(self, run: abi.kvm_run) -> bool:
        """Answers the exit if it is an access to one."""
        mmio = run.mmio
        if run.exit_reason != abi.KVM_EXIT_MMIO or not any(
            base <= mmio.phys_addr < end for base, end in self._places
        ):
            return False
        self.left -= 1
        self.answered = True
        if mmio.is_write:
            self._bus.write(mmio.phys_addr, mmio.len, bytes(mmio.data))
        else:
            data = self._bus.read(mmio.phys_addr, mmio.len)
            c_uint64.from_buffer(mmio.data).value = data
        return True
