"""What an exit says: the fields of ``struct kvm_run`` that belong to its reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vcpu_scenario.kvm import abi
from vcpu_scenario.trace import Ring, RingEntry


def fields_of(run: abi.kvm_run, reason: int) -> dict[str, Any]:
    """The fields of an exit for ``reason``, by the uAPI's names, as recorded traces have them; none
    of an unknown reason."""
    describe = _DESCRIBE.get(reason)
    return {} if describe is None else describe(run)


def _describe_debug(run: abi.kvm_run) -> dict[str, Any]:
    debug = run.debug
    fields: dict[str, Any] = {"hsr": debug.hsr, "far": debug.far}
    if high := debug.hsr_high:
        fields["hsr_high"] = high
    if flags := run.flags:
        fields["flags"] = flags
    return fields


def _describe_mmio(run: abi.kvm_run) -> dict[str, Any]:
    mmio = run.mmio
    is_write = mmio.is_write
    fields: dict[str, Any] = {"addr": mmio.phys_addr, "len": mmio.len, "is_write": is_write}
    if is_write:
        fields["data"] = bytes(mmio.data).hex()
    return fields


def _describe_system_event(run: abi.kvm_run) -> dict[str, Any]:
    event = run.system_event
    return {"type": event.type, "ndata": event.ndata, "data": list(event.data[: event.ndata])}


_DESCRIBE: dict[int, Callable[[abi.kvm_run], dict[str, Any]]] = {
    abi.KVM_EXIT_DEBUG: _describe_debug,
    abi.KVM_EXIT_MMIO: _describe_mmio,
    abi.KVM_EXIT_SYSTEM_EVENT: _describe_system_event,
    abi.KVM_EXIT_ARM_NISV: lambda run: {"iss": run.arm_nisv.esr_iss, "ipa": run.arm_nisv.fault_ipa},
    abi.KVM_EXIT_HYPERCALL: lambda run: {"nr": run.hypercall.nr, "flags": run.hypercall.flags},
}


def ring_of(ring: abi.kvm_coalesced_mmio_ring) -> Ring:
    """The writes that the kernel has put into the ring and nobody has taken out."""
    entries: list[RingEntry] = []
    index = ring.first
    while index != ring.last and len(entries) < abi.COALESCED_RING_MAX:
        entry = ring.coalesced_mmio[index]
        entries.append(RingEntry(entry.phys_addr, entry.len, bytes(entry.data)))
        index = (index + 1) % abi.COALESCED_RING_MAX
    return Ring(ring.first, ring.last, tuple(entries))
