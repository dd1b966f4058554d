"""Which hypercalls userspace answers, and where the guest reads of the time stolen from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from vcpu_scenario.actions.kind import Kind, Node, Reader, fields, number, of
from vcpu_scenario.ioctls.vm import SetSmcccFilter, SetStealTime
from vcpu_scenario.kvm import abi

_ACTIONS: Final = {
    "handle": abi.KVM_SMCCC_FILTER_HANDLE,
    "deny": abi.KVM_SMCCC_FILTER_DENY,
    "fwd_to_user": abi.KVM_SMCCC_FILTER_FWD_TO_USER,
}
_WORDS: Final = {number: word for word, number in _ACTIONS.items()}
_MOST: Final = 0xFFFF_FFFF
_BYTE: Final = 0xFF


def _read_filter(key: str, node: Node, reader: Reader) -> Iterable[SetSmcccFilter]:
    asked = dict(reader.entries(node))
    base, count = (
        reader.number(asked[name], low=0, high=_MOST) if name in asked else 0
        for name in ("base", "nr_functions")
    )
    action = _action(asked["action"], reader) if "action" in asked else 0
    pad = reader.number(asked["pad"], low=0, high=_BYTE) if "pad" in asked else 0
    yield SetSmcccFilter(base, count, action, pad)


def _action(node: Node, reader: Reader) -> int:
    known = _ACTIONS.get(reader.text(node))
    return reader.number(node, low=0, high=_BYTE) if known is None else known


def _write_filter(action: SetSmcccFilter) -> dict[str, Any]:
    entry: dict[str, Any] = {"base": action.base, "nr_functions": action.count}
    entry["action"] = _WORDS.get(action.action, action.action)
    return {"smccc_filter": entry | ({"pad": action.pad} if action.pad else {})}


KINDS: Final = (
    Kind(
        SetSmcccFilter,
        schema={
            "smccc_filter": fields(
                "KVM_ARM_VM_SMCCC_FILTER, before the first KVM_RUN: what is done "
                "with a range of hypercalls. A kernel that has none skips the case.",
                ["base", "nr_functions", "action"],
                base=number("The first function."),
                nr_functions=number("How many functions there are from base on."),
                action={
                    "title": f"one of {', '.join(_ACTIONS)}, or a number",
                    "description": "KVM_SMCCC_FILTER_ and this name, or its number.",
                    "type": ["string", "integer"],
                    "pattern": rf"^({'|'.join(_ACTIONS)})$|^(0[xX])?[0-9A-Fa-f]+$|\$\{{",
                },
                pad=number("Each byte of the padding, which has to be 0. Default: 0."),
            )
        },
        read=_read_filter,
        write=_write_filter,
        perform=lambda machine, action: machine.set_smccc_filter(action),
        words=lambda action, name: (
            f"KVM_ARM_VM_SMCCC_FILTER {action.base:#x}+{action.count:#x} "
            f"{_WORDS.get(action.action, action.action)}"
        ),
    ),
    Kind(
        SetStealTime,
        schema={
            "steal_time": of(
                "address",
                "KVM_ARM_VCPU_PVTIME_IPA: where the record of the stolen time is "
                "to be. A kernel that has none skips the case.",
            )
        },
        read=lambda key, node, reader: [SetStealTime(reader.address(node))],
        write=lambda action: {"steal_time": action.addr},
        perform=lambda machine, action: machine.set_steal_time(action.addr),
        words=lambda action, name: f"KVM_ARM_VCPU_PVTIME_IPA {name(action.addr)}",
    ),
)
