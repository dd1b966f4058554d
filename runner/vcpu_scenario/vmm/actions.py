"""What the VMM does between two runs: one small function for each kind of action."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vcpu_scenario import case as c
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import CORE_REGISTERS
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.vmm.setup import guest_debug, id_of

PC = CORE_REGISTERS["pc"]


def perform(machine: Machine, action: c.Action) -> None:
    """Performs one action. Raises what the machine raises."""
    _PERFORM[type(action)](machine, action)


def _set_guest_debug(machine: Machine, action: c.SetGuestDebug) -> None:
    machine.set_guest_debug(guest_debug(action.debug))


def _set_register(machine: Machine, action: c.SetRegister) -> None:
    machine.set_one_reg(id_of(action.reg), action.value)


def _write_memory(machine: Machine, action: c.WriteMemory) -> None:
    machine.write_memory(action.addr, action.data)


def _set_irq_line(machine: Machine, action: c.SetIrqLine) -> None:
    machine.irq_line(action.irq, action.level)


def _immediate_exit(machine: Machine, action: c.ImmediateExit) -> None:
    machine.run.immediate_exit = 1


def _set_mmio_data(machine: Machine, action: c.SetMmioData) -> None:
    machine.run.mmio.data[:] = action.value.to_bytes(8, "little")


def _set_run_field(machine: Machine, action: c.SetRunField) -> None:
    head, _, tail = action.field.partition(".")
    if tail:
        setattr(getattr(machine.run, head), tail, action.value)
    else:
        setattr(machine.run, head, action.value)


def _skip_instruction(machine: Machine, action: c.SkipInstruction) -> None:
    machine.set_one_reg(PC, machine.get_one_reg(PC) + 4)


def _set_vcpu_events(machine: Machine, action: c.SetVcpuEvents) -> None:
    events = abi.kvm_vcpu_events(
        serror_pending=action.serror,
        serror_has_esr=action.serror_esr is not None,
        ext_dabt_pending=action.ext_dabt,
        serror_esr=action.serror_esr or 0,
    )
    machine.set_vcpu_events(events)


def _set_mp_state(machine: Machine, action: c.SetMpState) -> None:
    machine.set_mp_state(action.state)


def _add_memslot(machine: Machine, action: c.AddMemslot) -> None:
    machine.set_user_memory_region(action.slot)


def _host_interrupt(machine: Machine, action: c.HostInterrupt) -> None:
    machine.host_interrupt()


_PERFORM: dict[type, Callable[[Machine, Any], None]] = {
    c.SetGuestDebug: _set_guest_debug,
    c.SetRegister: _set_register,
    c.WriteMemory: _write_memory,
    c.SetIrqLine: _set_irq_line,
    c.ImmediateExit: _immediate_exit,
    c.SetMmioData: _set_mmio_data,
    c.SetRunField: _set_run_field,
    c.SkipInstruction: _skip_instruction,
    c.SetVcpuEvents: _set_vcpu_events,
    c.SetMpState: _set_mp_state,
    c.AddMemslot: _add_memslot,
    c.HostInterrupt: _host_interrupt,
}
