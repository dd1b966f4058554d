"""``KVM_EXIT_SYSTEM_EVENT``."""

from __future__ import annotations

from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu


def report(vcpu: Vcpu, event: int, data: tuple[int, ...] = ()) -> None:
    """Fills in the exit. Before ``system_event_data`` there was a word of flags, always 0."""
    run = vcpu.run
    run.exit_reason = abi.KVM_EXIT_SYSTEM_EVENT
    record = run.system_event
    record.type = event
    if vcpu.behaviour.system_event_data:
        record.ndata = len(data)
        record.data[: len(data)] = data
    else:
        record.ndata = 0
        record.data[0] = 0
