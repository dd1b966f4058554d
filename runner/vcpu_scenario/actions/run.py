"""The next KVM_RUN, and what is shared with KVM before it: ``struct kvm_run`` and a ring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from vcpu_scenario.actions.kind import Kind, Node, Reader, bare, number
from vcpu_scenario.case import (
    HostInterrupt,
    ImmediateExit,
    PendSignal,
    RunAgain,
    SetMmioData,
    SetRunField,
)
from vcpu_scenario.ioctls.doorbells import EmptyRing
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.interface import Machine

_FORGED: Final[Mapping[str, tuple[Literal["exit_reason", "mmio.is_write", "mmio.len"], int]]] = {
    "exit_reason": ("exit_reason", 32),
    "is_write": ("mmio.is_write", 8),
    "len": ("mmio.len", 32),
}
"""Fields of ``struct kvm_run`` by their key, with their width in bits."""


def _immediate_exit(machine: Machine, action: ImmediateExit) -> None:
    machine.run.immediate_exit = 1


def _mmio_data(machine: Machine, action: SetMmioData) -> None:
    machine.run.mmio.data[:] = action.value.to_bytes(8, "little")


def _read_forge(key: str, node: Node, reader: Reader) -> Iterable[SetRunField]:
    for name, value in reader.entries(node):
        field, bits = _FORGED[name]
        yield SetRunField(field, reader.word(value, bits))


def _forge(machine: Machine, action: SetRunField) -> None:
    head, _, tail = action.field.partition(".")
    if tail:
        setattr(getattr(machine.run, head), tail, action.value)
    else:
        setattr(machine.run, head, action.value)


def _empty_ring(machine: Machine, action: EmptyRing) -> None:
    machine.ring.first = machine.ring.last = action.at


def _read_ring(key: str, node: Node, reader: Reader) -> Iterable[EmptyRing]:
    yield EmptyRing(reader.number(node, low=0, high=abi.COALESCED_RING_MAX - 1))


KINDS: Final = (
    bare(
        RunAgain(),
        "run_again",
        "Nothing, but that KVM_RUN is called again: after a system event or"
        " an error, where a run without actions ends.",
        lambda machine, action: None,
        "goes on all the same",
    ),
    bare(
        PendSignal(),
        "signal",
        "A signal is pending when the next KVM_RUN starts, which lets it"
        " through (KVM_SET_SIGNAL_MASK).",
        lambda machine, action: machine.pend_signal(),
        "a signal is pending for the next run",
    ),
    bare(
        ImmediateExit(),
        "immediate_exit",
        "run->immediate_exit is 1 for the next KVM_RUN alone.",
        _immediate_exit,
        "immediate_exit = 1",
    ),
    Kind(
        SetMmioData,
        schema={"reply": number("Overwrites all eight bytes of run->mmio.data.")},
        read=lambda key, node, reader: [SetMmioData(reader.word(node))],
        write=lambda action: {"reply": action.value},
        perform=_mmio_data,
        words=lambda action, name: f"mmio.data = {action.value:#x}",
    ),
    Kind(
        SetRunField,
        schema={
            "forge": {
                "description": "Overwrites fields of struct kvm_run.",
                "type": "object",
                "additionalProperties": False,
                "minProperties": 1,
                "properties": {
                    key: number(f"run->{field}.") for key, (field, _) in _FORGED.items()
                },
            }
        },
        read=_read_forge,
        write=lambda action: {"forge": {action.field.rpartition(".")[2]: action.value}},
        perform=_forge,
        words=lambda action, name: f"run->{action.field} = {action.value:#x}",
    ),
    Kind(
        EmptyRing,
        schema={
            "empty_ring": number(
                "Takes all entries out of the coalesced ring: ring->first and "
                "ring->last are this index, at which the next entry is put."
            )
        },
        read=_read_ring,
        write=lambda action: {"empty_ring": action.at},
        perform=_empty_ring,
        words=lambda action, name: f"ring->first = ring->last = {action.at}",
    ),
    bare(
        HostInterrupt(),
        "host_interrupt",
        "A host interrupt arrives between two entries of the next KVM_RUN. "
        "Only the emulated machine does this on request.",
        lambda machine, action: machine.host_interrupt(),
        "a host interrupt comes during the next run",
    ),
)
