"""The ioctls that make a VM, made again: another VM, further vCPUs, an interrupt controller,
capabilities, and the offset of its counters. Most are there to be refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from vcpu_scenario.actions.kind import Kind, Node, Reader, bare, fields, number
from vcpu_scenario.actions.questions import CAP, read_cap
from vcpu_scenario.ioctls.vm import CreateIrqchip, CreateVcpu, CreateVm, EnableCap, SetCounterOffset
from vcpu_scenario.kvm import capabilities

_WORD: Final = 0xFFFF_FFFF
_INT: Final = (1 << 31) - 1


def _read_cap(key: str, node: Node, reader: Reader) -> Iterable[EnableCap]:
    asked = dict(reader.entries(node))
    number = read_cap(asked.get("cap"), reader)
    flags = reader.number(asked["flags"], low=0, high=_WORD) if "flags" in asked else 0
    yield EnableCap(number, flags, reader.word(asked["arg"]) if "arg" in asked else 0)


def _write_cap(action: EnableCap) -> dict[str, Any]:
    asked = {"cap": capabilities.NAMES.get(action.cap, action.cap)}
    rest = {"flags": action.flags, "arg": action.arg}
    return {"enable_cap": asked | {key: value for key, value in rest.items() if value}}


def _cap_words(action: EnableCap) -> str:
    rest = [f"{key} {value:#x}" for key, value in (("flags", action.flags), ("arg", action.arg))]
    told = [words for words in rest if not words.endswith(" 0x0")]
    return " ".join(("KVM_ENABLE_CAP", capabilities.said(action.cap), *told))


def _read_offset(key: str, node: Node, reader: Reader) -> Iterable[SetCounterOffset]:
    asked = dict(reader.entries(node))
    offset, reserved = (
        reader.word(asked[name]) if name in asked else 0 for name in ("offset", "reserved")
    )
    yield SetCounterOffset(offset, reserved)


def _write_offset(action: SetCounterOffset) -> dict[str, Any]:
    reserved = {"reserved": action.reserved} if action.reserved else {}
    return {"counter_offset": {"offset": action.offset, **reserved}}


KINDS: Final = (
    Kind(
        SetCounterOffset,
        schema={
            "counter_offset": fields(
                "KVM_ARM_SET_COUNTER_OFFSET: CNTVCT_EL0 and CNTPCT_EL0 of the guest"
                " are the host's counter less this. A kernel that has none skips the case.",
                ["offset"],
                offset=number("counter_offset."),
                reserved=number("reserved. Default: 0."),
            )
        },
        read=_read_offset,
        write=_write_offset,
        perform=lambda machine, action: machine.set_counter_offset(action),
        words=lambda action, name: (
            f"KVM_ARM_SET_COUNTER_OFFSET {action.offset:#x}"
            + (f" reserved {action.reserved:#x}" if action.reserved else "")
        ),
    ),
    Kind(
        CreateVm,
        schema={
            "create_vm": number(
                "KVM_CREATE_VM of another VM with this type, of which the low byte is the number of"
                " bits of its IPAs. It is closed at once."
            )
        },
        read=lambda key, node, reader: [CreateVm(reader.number(node, low=0, high=_INT))],
        write=lambda action: {"create_vm": action.type},
        perform=lambda machine, action: machine.try_vm(action.type),
        words=lambda action, name: f"KVM_CREATE_VM {action.type:#x}",
    ),
    Kind(
        CreateVcpu,
        schema={
            "create_vcpu": number(
                "KVM_CREATE_VCPU with this number, beside the vCPUs of `vcpus`. `run_vcpu` then"
                " takes it, and `vcpu_init` initialises it."
            )
        },
        read=lambda key, node, reader: [CreateVcpu(reader.number(node, low=0, high=_INT))],
        write=lambda action: {"create_vcpu": action.vcpu},
        perform=lambda machine, action: machine.add_vcpu(action.vcpu),
        words=lambda action, name: f"KVM_CREATE_VCPU {action.vcpu}",
    ),
    bare(
        CreateIrqchip(),
        "create_irqchip",
        "KVM_CREATE_IRQCHIP: a vGICv2 by the ioctl that came before KVM_CREATE_DEVICE.",
        lambda machine, action: machine.create_irqchip(),
        "KVM_CREATE_IRQCHIP",
    ),
    Kind(
        EnableCap,
        schema={
            "enable_cap": fields(
                "KVM_ENABLE_CAP of the VM, as it is written down."
                " `capabilities` enables those that a scenario needs.",
                ["cap"],
                cap=CAP,
                flags=number("flags. Default: 0."),
                arg=number("args[0]. Default: 0."),
            )
        },
        read=_read_cap,
        write=_write_cap,
        perform=lambda machine, action: machine.ask_cap(action),
        words=lambda action, name: _cap_words(action),
    ),
)
