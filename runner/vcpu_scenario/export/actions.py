"""What the VMM does, in C."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from vcpu_scenario.case import (
    Action,
    AddMemslot,
    HostInterrupt,
    ImmediateExit,
    Memslot,
    PendSignal,
    RunAgain,
    RunVcpu,
    SetMmioData,
    SetRunField,
    SkipInstruction,
    WriteMemory,
)
from vcpu_scenario.export import vcpu, vgic, vm
from vcpu_scenario.export.names import Names, error, exit_reason
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.export.text import byte_string
from vcpu_scenario.ioctls.devices import ReadResamples, SignalIrqfd
from vcpu_scenario.ioctls.doorbells import EmptyRing, ReadIoeventfd
from vcpu_scenario.ioctls.memory import GetUserfaults
from vcpu_scenario.ioctls.vm import RestoreSnapshot, TakeSnapshot
from vcpu_scenario.kvm import abi

_BITS: Final = 63
"""Pages that userfaults are counted of."""
_MOST_REFUSED: Final = 16
"""The room that parts/snapshots.c has."""
_BRK_0: Final = (0xD420_0000).to_bytes(4, "little")

_OF_NEXT_RUN: Final = (ImmediateExit, PendSignal)


def statements(actions: Iterable[Action], names: Names) -> list[str]:
    """The lines that do ``actions``. Raises :class:`Unexportable`."""
    actions = _in_turn(actions)
    lines = [line for action in actions for line in _OF[type(action)](action, names)]
    if not names.debugger:
        return lines
    if any(isinstance(action, ImmediateExit) for action in actions):
        raise Unexportable("immediate_exit with a VMM that sets it itself")
    return [line.replace("write_guest(", "debugger_writes(", 1) for line in lines]


def _in_turn(actions: Iterable[Action]) -> list[Action]:
    """What is for the next KVM_RUN, whose ever that is, comes behind what says whose."""
    ordered = list(actions)
    turns = [n for n, action in enumerate(ordered) if isinstance(action, RunVcpu)]
    here = turns[-1] + 1 if turns else 0
    waiting = [action for action in ordered[:here] if isinstance(action, _OF_NEXT_RUN)]
    return [one for one in ordered[:here] if one not in waiting] + waiting + ordered[here:]


def memslot(slot: Memslot) -> str:
    """``KVM_SET_USER_MEMORY_REGION``."""
    readonly = "KVM_MEM_READONLY" if slot.readonly else "0"
    return f"add_memslot({slot.base:#x}, {slot.size:#x}, {readonly});"


def write_memory(addr: int, data: bytes, names: Names) -> list[str]:
    """Bytes into guest memory."""
    place = names.address(addr)
    if data == _BRK_0:
        return [f"write_guest({place}, &(uint32_t){{ BRK_0 }}, 4);"]
    if len(data) == 4:
        word = int.from_bytes(data, "little")
        return [f"write_guest({place}, &(uint32_t){{ {word:#010x} }}, 4);"]
    if len(data) <= 8:
        return [f"write_guest({place}, {byte_string(data)}, {len(data)});"]
    rows = (data[at : at + 8] for at in range(0, len(data), 8))
    return [
        f"write_guest({place}, (uint8_t[]) {{",
        *("\t" + " ".join(f"{byte:#04x}," for byte in row) for row in rows),
        f"}}, {len(data)});",
    ]


def _run_field(action: SetRunField, names: Names) -> Iterator[str]:
    value = f"{action.value:#x}"
    if action.field == "exit_reason" and action.value in abi.EXIT_NAMES:
        value = exit_reason(abi.EXIT_NAMES[action.value])
    yield f"run->{action.field} = {value};"


def _empty_ring(action: EmptyRing, names: Names) -> Iterator[str]:
    yield f"empty_ring({action.at});"


def _userfaults(action: GetUserfaults, names: Names) -> Iterator[str]:
    if any(page >= _BITS for page in action.pages):
        raise Unexportable(f"userfaults beyond the first {_BITS} pages")
    touched, written = (sum(1 << page for page in each) for each in (action.pages, action.written))
    yield f"expect_userfaults({action.slot}, {touched:#x}, {written:#x});"


def _take_snapshot(action: TakeSnapshot, names: Names) -> Iterator[str]:
    yield f"take_snapshot(&{names.snapshot(action.name)});"


def _restore_snapshot(action: RestoreSnapshot, names: Names) -> Iterator[str]:
    if len(action.refused) > _MOST_REFUSED:
        raise Unexportable(f"more than {_MOST_REFUSED} registers of a snapshot that are refused")
    for reg, errno in action.refused:
        yield f"expect_refusal({names.register(reg)}, {error(errno)});"
    same = f"init_vcpu({vcpu.features(names.features)});"
    yield same if action.into == "same_vm" else "new_vm();"
    yield f"restore_snapshot(&{names.snapshot(action.name)});"


def _read_ioeventfd(action: ReadIoeventfd, names: Names) -> Iterator[str]:
    where = vcpu.doorbell(action.addr, action.len, action.match, names)
    yield f"expect_ioeventfd({where}, {action.count});"


def _host_interrupt(action: HostInterrupt, names: Names) -> Iterator[str]:
    raise Unexportable("host_interrupt: real KVM takes interrupts of its host when they come")


_OF: Final[Mapping[type[Action], Callable[[Any, Names], Iterable[str]]]] = {
    WriteMemory: lambda action, names: write_memory(action.addr, action.data, names),
    ImmediateExit: lambda action, names: ["run->immediate_exit = 1;"],
    SetMmioData: lambda action, names: [f"set_mmio_data({action.value:#x});"],
    SetRunField: _run_field,
    EmptyRing: _empty_ring,
    SkipInstruction: lambda action, names: ["skip_instruction();"],
    AddMemslot: lambda action, names: [memslot(action.slot)],
    RunVcpu: lambda action, names: [f"turn_to({action.vcpu});"],
    GetUserfaults: _userfaults,
    TakeSnapshot: _take_snapshot,
    RestoreSnapshot: _restore_snapshot,
    ReadIoeventfd: _read_ioeventfd,
    **vcpu.OF,
    **vm.OF,
    HostInterrupt: _host_interrupt,
    RunAgain: lambda action, names: [],
    PendSignal: lambda action, names: ["pend_signal();"],
    SignalIrqfd: vgic.signal,
    ReadResamples: vgic.read_resamples,
}
