"""What the VMM does, in C."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from vcpu_scenario.actions.guestdebug import struct_of
from vcpu_scenario.case import (
    Action,
    AddMemslot,
    GuestDebug,
    HostInterrupt,
    ImmediateExit,
    InitVcpu,
    Memslot,
    PendSignal,
    RunAgain,
    RunVcpu,
    SetGuestDebug,
    SetIrqLine,
    SetMmioData,
    SetMpState,
    SetRegister,
    SetRunField,
    SetVcpuEvents,
    SkipInstruction,
    WriteMemory,
)
from vcpu_scenario.export import vgic, vm
from vcpu_scenario.export.names import Names, exit_reason, flags
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.export.text import byte_string
from vcpu_scenario.ioctls.devices import ReadResamples, SignalIrqfd
from vcpu_scenario.ioctls.doorbells import AddCoalescedZone, AddIoeventfd, EmptyRing, ReadIoeventfd
from vcpu_scenario.ioctls.memory import GetUserfaults
from vcpu_scenario.ioctls.vm import (
    Ask,
    CreateIrqchip,
    CreateVcpu,
    CreateVm,
    EnableCap,
    GetRegister,
    RestoreSnapshot,
    TakeSnapshot,
)
from vcpu_scenario.kvm import abi

_BRK_0: Final = (0xD420_0000).to_bytes(4, "little")
_CONTROL: Final = {
    abi.KVM_GUESTDBG_ENABLE: "KVM_GUESTDBG_ENABLE",
    abi.KVM_GUESTDBG_SINGLESTEP: "KVM_GUESTDBG_SINGLESTEP",
    abi.KVM_GUESTDBG_USE_SW_BP: "KVM_GUESTDBG_USE_SW_BP",
    abi.KVM_GUESTDBG_USE_HW: "KVM_GUESTDBG_USE_HW",
}
_BCR: Final = 0x1E7
_IRQ_TYPES: Final = {
    abi.KVM_ARM_IRQ_TYPE_CPU: "KVM_ARM_IRQ_TYPE_CPU",
    abi.KVM_ARM_IRQ_TYPE_SPI: "KVM_ARM_IRQ_TYPE_SPI",
    abi.KVM_ARM_IRQ_TYPE_PPI: "KVM_ARM_IRQ_TYPE_PPI",
}
_MP_STATES: Final = {
    abi.KVM_MP_STATE_RUNNABLE: "KVM_MP_STATE_RUNNABLE",
    abi.KVM_MP_STATE_STOPPED: "KVM_MP_STATE_STOPPED",
    abi.KVM_MP_STATE_SUSPENDED: "KVM_MP_STATE_SUSPENDED",
}


def statements(actions: Iterable[Action], names: Names) -> list[str]:
    """The lines that do ``actions``. Raises :class:`Unexportable`."""
    lines = [line for action in actions for line in _OF[type(action)](action, names)]
    if not names.debugger:
        return lines
    if any(isinstance(action, ImmediateExit) for action in actions):
        raise Unexportable("immediate_exit with a VMM that sets it itself")
    return [line.replace("write_guest(", "debugger_writes(", 1) for line in lines]


def guest_debug(debug: GuestDebug, names: Names) -> Iterator[str]:
    """``KVM_SET_GUEST_DEBUG``."""
    encoded = struct_of(debug).arch
    yield "set_guest_debug(&(struct kvm_guest_debug) {"
    yield f"\t.control = {flags(debug.control, _CONTROL)},"
    for n, addr in enumerate(debug.hw_bp):
        assert encoded.dbg_bcr[n] == _BCR
        yield f"\t.arch.dbg_bcr[{n}] = DBG_BCR,"
        yield f"\t.arch.dbg_bvr[{n}] = {names.address(addr)},"
    for n, watch in enumerate(debug.watch):
        access = {"r": "reads", "w": "writes", "rw": "reads and writes"}[watch.type]
        yield f"\t/* {access} of {watch.len} bytes at {watch.addr:#x} */"
        yield f"\t.arch.dbg_wcr[{n}] = {encoded.dbg_wcr[n]:#x},"
        yield f"\t.arch.dbg_wvr[{n}] = {encoded.dbg_wvr[n]:#x},"
    yield "});"


def memslot(slot: Memslot) -> str:
    """``KVM_SET_USER_MEMORY_REGION``."""
    readonly = "KVM_MEM_READONLY" if slot.readonly else "0"
    return f"add_memslot({slot.base:#x}, {slot.size:#x}, {readonly});"


def register(name: str, value: int, names: Names) -> str:
    """``KVM_SET_ONE_REG``."""
    written = names.address(value) if name == "pc" else f"{value:#x}"
    return f"set_reg({names.register(name)}, {written});"


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


def _irq_line(action: SetIrqLine, names: Names) -> Iterator[str]:
    kind, number = action.irq >> abi.KVM_ARM_IRQ_TYPE_SHIFT & 0xF, action.irq & 0xF0FF_FFFF
    yield f"irq_line({_IRQ_TYPES.get(kind, str(kind))}, {number}, {action.level});"


def _events(action: SetVcpuEvents, names: Names) -> Iterator[str]:
    fields = {
        "serror_pending": int(action.serror),
        "ext_dabt_pending": int(action.ext_dabt),
        "serror_has_esr": int(action.serror_esr is not None),
        "serror_esr": action.serror_esr or 0,
    }
    yield "set_vcpu_events(&(struct kvm_vcpu_events) {"
    yield from (f"\t.exception.{name} = {value:#x}," for name, value in fields.items() if value)
    yield "});"


def _run_field(action: SetRunField, names: Names) -> Iterator[str]:
    value = f"{action.value:#x}"
    if action.field == "exit_reason" and action.value in abi.EXIT_NAMES:
        value = exit_reason(abi.EXIT_NAMES[action.value])
    yield f"run->{action.field} = {value};"


def _empty_ring(action: EmptyRing, names: Names) -> Iterator[str]:
    yield f"empty_ring({action.at});"


def _userfaults(action: GetUserfaults, names: Names) -> Iterator[str]:
    raise Unexportable("userfaults: a program in C has no userfaultfd")


def _run_vcpu(action: RunVcpu, names: Names) -> Iterator[str]:
    raise Unexportable("run_vcpu: a program in C has one vCPU")


def _snapshot(action: TakeSnapshot | RestoreSnapshot, names: Names) -> Iterator[str]:
    raise Unexportable("snapshot and restore: a program in C has one VM and keeps nothing of it")


def _creation(action: Action, names: Names) -> Iterator[str]:
    raise Unexportable(f"{_CREATION[type(action)]}: a program in C sets its VM up once")


_CREATION: Final[Mapping[type[Action], str]] = {
    CreateVm: "create_vm",
    CreateVcpu: "create_vcpu",
    CreateIrqchip: "create_irqchip",
    EnableCap: "enable_cap",
}


def _question(action: Action, names: Names) -> Iterator[str]:
    raise Unexportable(f"{_QUESTIONS[type(action)]}: a program in C has no such call")


_QUESTIONS: Final[Mapping[type[Action], str]] = {
    Ask: "an ioctl that only asks",
    GetRegister: "get",
    ReadIoeventfd: "read_ioeventfd",
    AddIoeventfd: "add_ioeventfd",
    AddCoalescedZone: "add_coalesced",
}


def features(names: Iterable[str]) -> str:
    """The first word of ``kvm_vcpu_init.features``."""
    return " | ".join(f"1 << KVM_ARM_VCPU_{name.upper()}" for name in names) or "0"


def _init(action: InitVcpu, names: Names) -> Iterator[str]:
    if action.target is not None or action.bits:
        raise Unexportable("vcpu_init with a target or bits of its own")
    asked = names.features if action.features is None else action.features
    yield f"init_vcpu({features(asked)});"


def _signal(action: PendSignal, names: Names) -> Iterator[str]:
    raise Unexportable("signal: a program has no signal that is blocked but for KVM_RUN")


def _host_interrupt(action: HostInterrupt, names: Names) -> Iterator[str]:
    raise Unexportable("host_interrupt: real KVM takes interrupts of its host when they come")


_OF: Final[Mapping[type[Action], Callable[[Any, Names], Iterable[str]]]] = {
    SetGuestDebug: lambda action, names: guest_debug(action.debug, names),
    SetRegister: lambda action, names: [register(action.reg, action.value, names)],
    WriteMemory: lambda action, names: write_memory(action.addr, action.data, names),
    SetIrqLine: _irq_line,
    ImmediateExit: lambda action, names: ["run->immediate_exit = 1;"],
    SetMmioData: lambda action, names: [f"set_mmio_data({action.value:#x});"],
    SetRunField: _run_field,
    EmptyRing: _empty_ring,
    SkipInstruction: lambda action, names: ["skip_instruction();"],
    SetVcpuEvents: _events,
    SetMpState: lambda action, names: [
        f"set_mp_state({_MP_STATES.get(action.state, str(action.state))});"
    ],
    AddMemslot: lambda action, names: [memslot(action.slot)],
    RunVcpu: _run_vcpu,
    GetUserfaults: _userfaults,
    TakeSnapshot: _snapshot,
    RestoreSnapshot: _snapshot,
    **dict.fromkeys(_CREATION, _creation),
    **dict.fromkeys(_QUESTIONS, _question),
    **vm.OF,
    HostInterrupt: _host_interrupt,
    InitVcpu: _init,
    RunAgain: lambda action, names: [],
    PendSignal: _signal,
    SignalIrqfd: vgic.signal,
    ReadResamples: vgic.read_resamples,
}
