"""The device attributes of a vCPU: of its PMU, its timers and its stolen time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from vcpu_scenario.actions.attributes import (
    attribute_schema,
    check_found,
    read_attribute,
    setting,
    write_attribute,
)
from vcpu_scenario.actions.kind import Kind, Name, Node, Reader, of
from vcpu_scenario.ioctls.devices import GetVcpuAttr, HasVcpuAttr, SetVcpuAttr
from vcpu_scenario.kvm.vcpuattrs import (
    GROUPS,
    KVM_ARM_VCPU_PMU_V3_CTRL,
    KVM_ARM_VCPU_PMU_V3_FILTER,
    KVM_PMU_EVENT_ALLOW,
    KVM_PMU_EVENT_DENY,
    EventFilter,
    said,
)
from vcpu_scenario.machine.interface import Machine

_FILTER: Final = (KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_FILTER)
_ACTIONS: Final = {"allow": KVM_PMU_EVENT_ALLOW, "deny": KVM_PMU_EVENT_DENY}
_HALF: Final = 0xFFFF


def _where(node: Node, reader: Reader) -> tuple[int, int]:
    return read_attribute(GROUPS, dict(reader.entries(node)), reader)


def _value(asked: dict[str, Node], reader: Reader) -> int | None:
    return reader.word(asked["value"]) if "value" in asked else None


def _read_set(key: str, node: Node, reader: Reader) -> Iterable[SetVcpuAttr]:
    asked = dict(reader.entries(node))
    where = read_attribute(GROUPS, asked, reader)
    if "filter" not in asked:
        yield SetVcpuAttr(*where, _value(asked, reader))
        return
    if where != _FILTER:
        reader.complain(
            "only filter of the group pmu_v3 is one",
            asked["filter"],
            found=said(*where),
            expected="value",
        )
    yield SetVcpuAttr(*where, _read_filter(dict(reader.entries(asked["filter"])), reader).value)


def _read_filter(asked: dict[str, Node], reader: Reader) -> EventFilter:
    base, count = (
        reader.number(asked[key], low=0, high=_HALF) if key in asked else 0
        for key in ("base_event", "nevents")
    )
    action = reader.text(asked["action"]) if "action" in asked else "allow"
    known = _ACTIONS.get(action)
    return EventFilter(
        base, count, reader.number(asked["action"], low=0, high=0xFF) if known is None else known
    )


def _write_set(action: SetVcpuAttr) -> dict[str, Any]:
    value: dict[str, Any] = {} if action.value is None else {"value": action.value}
    if (action.group, action.attr) == _FILTER and action.value is not None:
        asked = EventFilter.of(action.value)
        if asked.value == action.value:
            words = {number: word for word, number in _ACTIONS.items()}
            value = {
                "filter": {
                    "base_event": asked.base_event,
                    "nevents": asked.nevents,
                    "action": words.get(asked.action, asked.action),
                }
            }
    return {"set_vcpu_attr": write_attribute(GROUPS, action.group, action.attr) | value}


def _write_get(action: GetVcpuAttr) -> dict[str, Any]:
    value = {} if action.value is None else {"value": action.value}
    return {"get_vcpu_attr": write_attribute(GROUPS, action.group, action.attr) | value}


def _get(machine: Machine, action: GetVcpuAttr) -> None:
    found = machine.get_vcpu_attr(action.group, action.attr)
    check_found(found, action.value, said(action.group, action.attr))


def _set_words(action: SetVcpuAttr, name: Name) -> str:
    return setting(said(action.group, action.attr), action.value)


def _attribute(description: str, **more: Any) -> dict[str, Any]:
    return attribute_schema(
        GROUPS, "KVM_ARM_VCPU_ and this name and _CTRL", description, _ATTR, **more
    )


_ATTR: Final = {
    "description": "The attribute: KVM_ARM_VCPU_, the group and this name in lower case, or a "
    "number. Of pmu_v3 irq, init, filter, set_pmu and set_nr_counters, of timer irq_vtimer, "
    "irq_ptimer, irq_hvtimer and irq_hptimer, of pvtime ipa. Default: 0.",
    "title": "a name such as init or irq_vtimer, or a number",
}
_NUMBER: Final = {"$ref": "#/definitions/number"}
_FILTER_SCHEMA: Final = {
    "description": "struct kvm_pmu_event_filter, which the attribute filter is set to.",
    "type": "object",
    "additionalProperties": False,
    "required": ["base_event", "nevents", "action"],
    "properties": {
        "base_event": {**_NUMBER, "description": "The first event."},
        "nevents": {**_NUMBER, "description": "How many there are from it on."},
        "action": {
            "description": "KVM_PMU_EVENT_ and this name, or a number.",
            "title": "allow or deny, or a number",
            "type": ["string", "integer"],
            "pattern": r"^(allow|deny)$|^(0[xX])?[0-9A-Fa-f]+$|\$\{",
        },
    },
}

KINDS: Final = (
    Kind(
        SetVcpuAttr,
        schema={
            "set_vcpu_attr": _attribute(
                "KVM_SET_DEVICE_ATTR of the vCPU. Without a value the address of one is NULL.",
                value={**_NUMBER, "description": "What it is set to."},
                filter=_FILTER_SCHEMA,
            )
        },
        read=_read_set,
        write=_write_set,
        perform=lambda machine, action: machine.set_vcpu_attr(
            action.group, action.attr, action.value
        ),
        words=_set_words,
    ),
    Kind(
        GetVcpuAttr,
        schema={
            "get_vcpu_attr": _attribute(
                "KVM_GET_DEVICE_ATTR of the vCPU.",
                value=of("number_by_case", "What it is expected to be. Default: any value."),
            )
        },
        read=lambda key, node, reader: [
            GetVcpuAttr(*_where(node, reader), _value(dict(reader.entries(node)), reader))
        ],
        write=_write_get,
        perform=_get,
        words=lambda action, name: f"KVM_GET_DEVICE_ATTR {said(action.group, action.attr)}",
    ),
    Kind(
        HasVcpuAttr,
        schema={
            "has_vcpu_attr": _attribute(
                "KVM_HAS_DEVICE_ATTR of the vCPU, which succeeds where it has the attribute."
            )
        },
        read=lambda key, node, reader: [HasVcpuAttr(*_where(node, reader))],
        write=lambda action: {"has_vcpu_attr": write_attribute(GROUPS, action.group, action.attr)},
        perform=lambda machine, action: machine.has_vcpu_attr(action.group, action.attr),
        words=lambda action, name: f"KVM_HAS_DEVICE_ATTR {said(action.group, action.attr)}",
    ),
)
