"""Sets a VM up for a case: the ioctls a VMM makes before its first ``KVM_RUN``."""

from __future__ import annotations

from vcpu_scenario.case import Case, GuestDebug, Watchpoint
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import reg_id
from vcpu_scenario.machine.interface import Machine

_BCR = 0x1E7
"""Enabled at every EL, all four bytes of the instruction (``E``, ``PMC`` 3, ``BAS`` 0xf)."""

_LSC = {"r": 1, "w": 2, "rw": 3}


def set_up(machine: Machine, case: Case) -> None:
    """Makes the VM that ``case`` describes.

    Raises :class:`~vcpu_scenario.machine.interface.KvmError` where the kernel refuses.
    """
    for slot in case.slots:
        machine.set_user_memory_region(slot)
    for load in case.loads:
        machine.write_memory(load.addr, load.data)
    for cap in case.caps:
        machine.enable_cap(cap)
    machine.vcpu_init(psci_0_2=case.psci_0_2)
    if case.gic is not None:
        machine.create_gic(case.gic)
    for ioeventfd in case.ioeventfds:
        machine.add_ioeventfd(ioeventfd)
    for zone in case.coalesced:
        machine.add_coalesced_zone(zone.addr, zone.size)
    for name, value in case.regs:
        machine.set_one_reg(id_of(name), value)
    if case.debug is not None:
        machine.set_guest_debug(guest_debug(case.debug))


def id_of(name: str) -> int:
    """The register's id; the loader has already refused names that have none."""
    found = reg_id(name)
    if found is None:
        raise ValueError(f"no register is called {name!r}")
    return found


def guest_debug(debug: GuestDebug) -> abi.kvm_guest_debug:
    """``struct kvm_guest_debug`` with breakpoints and watchpoints encoded as QEMU does."""
    out = abi.kvm_guest_debug(control=debug.control)
    for n, addr in enumerate(debug.hw_bp):
        out.arch.dbg_bcr[n] = _BCR
        out.arch.dbg_bvr[n] = addr
    for n, watch in enumerate(debug.watch):
        out.arch.dbg_wcr[n], out.arch.dbg_wvr[n] = _watchpoint_registers(watch)
    return out


def _watchpoint_registers(watch: Watchpoint) -> tuple[int, int]:
    """(WCR, WVR): byte select within a doubleword, or an address mask for larger ranges.

    Arm ARM D17.3.11, DBGWCR<n>_EL1.
    """
    control = 1 | 3 << 1 | _LSC[watch.type] << 3
    if watch.len <= 8:
        offset = watch.addr & 7
        select = ((1 << watch.len) - 1) << offset & 0xFF
        return control | select << 5, watch.addr & ~7
    mask = watch.len.bit_length() - 1
    return control | 0xFF << 5 | mask << 24, watch.addr & ~(watch.len - 1)
