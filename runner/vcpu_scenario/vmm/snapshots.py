"""Snapshots of vCPUs and memory, as a VMM takes them and restores them.

A VMM has of a vCPU what KVM's ioctls give. What KVM keeps for itself is not in a snapshot: an MMIO
access that is not complete, a step that is pending, guest debug, interrupt lines and the state of a
vGIC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.case import Case, RunVcpu
from vcpu_scenario.ioctls.attributes import SetDeviceAttr
from vcpu_scenario.ioctls.memory import SetMemoryRegion
from vcpu_scenario.ioctls.vm import RestoreSnapshot, TakeSnapshot
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.errnos import errno_name
from vcpu_scenario.kvm.registers import CORE_REGISTERS, FP_REGISTERS, id_of, is_core, said
from vcpu_scenario.machine.errors import KvmError, NotRefused, Unsupported
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.vmm.attached import PLAIN, VmmEnds
from vcpu_scenario.vmm.setup import equip

_CORE: Final = (*CORE_REGISTERS.values(), *FP_REGISTERS.values())


class VcpuState(Struct, frozen=True):
    """What KVM says of one vCPU: its registers by their ids in the list's order."""

    features: tuple[str, ...]
    registers: tuple[tuple[int, int], ...]
    mp_state: int
    events: abi.kvm_vcpu_events | None


class Snapshot(Struct, frozen=True):
    """All vCPUs by their numbers, the slots with what was in them, and the software breakpoints
    (IPAs) that the VMM has written there."""

    vcpus: tuple[VcpuState, ...]
    memory: tuple[tuple[SetMemoryRegion, bytes], ...]
    breakpoints: frozenset[int]


class Snapshots:
    """Those of a run by their names. ``current`` is the vCPU whose turn it is."""

    def __init__(self, case: Case) -> None:
        self._case: Final = case
        self._kept: Final = dict[str, Snapshot]()

    def take(
        self, action: TakeSnapshot, machine: Machine, current: int, breakpoints: frozenset[int]
    ) -> None:
        states = [_state_of(machine) for _ in _each(machine, self._case.vcpus, current)]
        memory = tuple(
            (region, machine.memory.read(region.base, region.size))
            for region in machine.memory.regions()
        )
        self._kept[action.name] = Snapshot(tuple(states), memory, breakpoints)

    def restore(
        self, action: RestoreSnapshot, machine: Machine, current: int
    ) -> tuple[Machine, frozenset[int]]:
        """The VM that continues, ``machine`` or a new one, and the breakpoints in its memory."""
        snapshot = self._kept.get(action.name)
        if snapshot is None:
            raise VmmEnds(f"the snapshot `{action.name}` was not taken before it is restored")
        if action.into == "same_vm":
            _into_same_vm(machine, snapshot, action, current)
            return machine, snapshot.breakpoints
        if self._case.vmm != PLAIN:
            raise Unsupported(f"a debugger of {self._case.vmm} that goes on in a new VM")
        new = _into_new_vm(machine, self._case, snapshot, action, current)
        return new, snapshot.breakpoints


def _state_of(machine: Machine) -> VcpuState:
    """Core registers by the ids that they have: what is listed of them up to 5.1 is no such."""
    ids = [*_CORE, *(reg for reg in machine.reg_list() if not is_core(reg))]
    registers = tuple((reg, machine.get_one_reg(reg)) for reg in ids)
    return VcpuState(machine.features, registers, machine.mp_state(), machine.get_vcpu_events())


def _into_new_vm(
    machine: Machine, case: Case, snapshot: Snapshot, action: RestoreSnapshot, current: int
) -> Machine:
    new = machine.sibling()
    try:
        for region, data in snapshot.memory:
            # Bytes are written before the slot is logged: they are no writes of the guest's.
            new.memory.set_region(replace(region, log_dirty=False))
            new.memory.write(region.base, data)
            if region.log_dirty:
                new.memory.set_region(region)
        equip(new, case)
        _set_attributes(new, case)
        _restore(new, snapshot, action, current)
    except BaseException:
        new.close()
        raise
    return new


def _set_attributes(machine: Machine, case: Case) -> None:
    """Those of vCPUs, which are no registers: without them a PMU has no interrupt and is not
    initialised."""
    vcpu = 0
    for action in case.before:
        if isinstance(action, RunVcpu):
            vcpu = action.vcpu
        elif isinstance(action, SetDeviceAttr) and action.which.of == "vcpu" and vcpu < case.vcpus:
            if case.vcpus > 1:
                machine.select(vcpu)
            machine.devices.set(action.which, action.value)


def _into_same_vm(
    machine: Machine, snapshot: Snapshot, action: RestoreSnapshot, current: int
) -> None:
    for region, data in snapshot.memory:
        machine.memory.write(region.base, data)
    for number in _each(machine, len(snapshot.vcpus), current):
        machine.vcpu_init(snapshot.vcpus[number].features)
    _restore(machine, snapshot, action, current)


def _restore(machine: Machine, snapshot: Snapshot, action: RestoreSnapshot, current: int) -> None:
    refused = {id_of(name): errno for name, errno in action.refused}
    known = {reg for state in snapshot.vcpus for reg, _ in state.registers}
    for reg in refused.keys() - known:
        raise NotRefused(f"the snapshot `{action.name}` has no register {said(reg)}")
    for number in _each(machine, len(snapshot.vcpus), current):
        state = snapshot.vcpus[number]
        for reg, value in state.registers:
            _set(machine, reg, value, refused)
        if state.events is not None:
            machine.set_vcpu_events(state.events)
        machine.set_mp_state(state.mp_state)


def _set(machine: Machine, reg: int, value: int, refused: Mapping[int, int]) -> None:
    expected = refused.get(reg)
    try:
        machine.set_one_reg(reg, value)
    except KvmError as refusal:
        if expected is None:
            raise KvmError(refusal.errno, f"{refusal.what} = {value:#x}") from None
        if refusal.errno == expected:
            return
        gave = f"gave {errno_name(refusal.errno)}"
    else:
        if expected is None:
            return
        gave = "succeeded"
    what = f"KVM_SET_ONE_REG {said(reg)} = {value:#x}"
    raise NotRefused(f"{what} {gave}, expected {errno_name(expected)}")


def _each(machine: Machine, vcpus: int, current: int) -> Iterator[int]:
    """Selects each vCPU in turn, and at last ``current``."""
    for number in range(vcpus):
        if vcpus > 1:
            machine.select(number)
        yield number
    if vcpus > 1:
        machine.select(current)
