"""Ioeventfds and coalesced zones that come and go after the set-up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol, TypeVar

from vcpu_scenario.actions.kind import Kind, Name, Node, Reader, fields, number, of
from vcpu_scenario.case import Ioeventfd
from vcpu_scenario.ioctls.doorbells import (
    AddCoalescedZone,
    AddIoeventfd,
    ReadIoeventfd,
    RemoveCoalescedZone,
    RemoveIoeventfd,
)
from vcpu_scenario.machine.errors import Unexpected
from vcpu_scenario.machine.interface import Machine

_WORD: Final = 0xFFFF_FFFF

_Doorbell = TypeVar("_Doorbell", AddIoeventfd, RemoveIoeventfd)
_Zone = TypeVar("_Zone", AddCoalescedZone, RemoveCoalescedZone)


def _where(asked: dict[str, Node], reader: Reader) -> tuple[int, int, int | None]:
    """``addr``, ``len`` and ``datamatch`` of an ioeventfd."""
    length = reader.number(asked["len"], low=0, high=_WORD) if "len" in asked else 0
    return (
        reader.address(asked["at"]) if "at" in asked else 0,
        length,
        read_datamatch(asked.get("match"), length, reader),
    )


class _Numbers(Protocol):
    def word(self, node: Node) -> int: ...

    def number(self, node: Node, *, low: int, high: int) -> int: ...


def read_datamatch(node: Node | None, length: int, reader: _Numbers) -> int | None:
    """``datamatch`` of an ioeventfd for writes of ``length`` bytes, which are zero-extended to be
    compared with it: of fewer than 8 none equals a larger number or a negative one."""
    if node is None:
        return None
    if length not in (1, 2, 4):
        return reader.word(node)
    return reader.number(node, low=0, high=(1 << 8 * length) - 1)


def _ioeventfd(action: AddIoeventfd | RemoveIoeventfd | ReadIoeventfd) -> Ioeventfd:
    return Ioeventfd(action.addr, action.len, action.match)


def _entry(action: AddIoeventfd | RemoveIoeventfd | ReadIoeventfd) -> dict[str, Any]:
    entry = {"at": action.addr, "len": action.len}
    return entry | ({} if action.match is None else {"match": action.match})


def _read_count(key: str, node: Node, reader: Reader) -> Iterable[ReadIoeventfd]:
    asked = dict(reader.entries(node))
    count = reader.number(asked["count"], low=0, high=_WORD) if "count" in asked else 0
    yield ReadIoeventfd(*_where(asked, reader), count)


def _check_count(machine: Machine, action: ReadIoeventfd) -> None:
    found = machine.ioeventfds.count(_ioeventfd(action))
    if found != action.count:
        raise Unexpected(f"{_counted(action, hex)} gave {found}, expected {action.count}")


def _counted(action: ReadIoeventfd, name: Name) -> str:
    return f"the eventfd of {_said(action, name)}"


def _said(action: AddIoeventfd | RemoveIoeventfd | ReadIoeventfd, name: Name) -> str:
    match = "" if action.match is None else f" datamatch {action.match:#x}"
    return f"{name(action.addr)} len {action.len}{match}"


def _places(description: str, *required: str, **more: Any) -> dict[str, Any]:
    return fields(
        description,
        ["at", *required],
        at=of("address", "addr."),
        len=of("number", "len. Default: 0, any width.", default=0),
        match=number("datamatch. Default: any value."),
        **more,
    )


def _of_ioeventfd(
    record: type[_Doorbell],
    key: str,
    description: str,
    said: str,
    perform: Callable[[Machine, Ioeventfd], None],
) -> Kind[_Doorbell]:
    return Kind(
        record,
        schema={key: _places(description)},
        read=lambda _, node, reader: [record(*_where(dict(reader.entries(node)), reader))],
        write=lambda action: {key: _entry(action)},
        perform=lambda machine, action: perform(machine, _ioeventfd(action)),
        words=lambda action, name: f"{said} {_said(action, name)}",
    )


def _of_zone(
    record: type[_Zone],
    key: str,
    description: str,
    said: str,
    perform: Callable[[Machine, _Zone], None],
) -> Kind[_Zone]:
    def read(_: str, node: Node, reader: Reader) -> Iterable[_Zone]:
        asked = dict(reader.entries(node))
        at = reader.address(asked["at"]) if "at" in asked else 0
        size = reader.number(asked["size"], low=0, high=_WORD) if "size" in asked else 0
        yield record(at, size)

    keys = {"at": of("address", "addr."), "size": of("number", "size.")}
    return Kind(
        record,
        schema={key: fields(description, ["at", "size"], **keys)},
        read=read,
        write=lambda action: {key: {"at": action.addr, "size": action.size}},
        perform=perform,
        words=lambda action, name: f"{said} {name(action.addr)}+{action.size:#x}",
    )


KINDS: Final = (
    _of_ioeventfd(
        AddIoeventfd,
        "add_ioeventfd",
        "KVM_IOEVENTFD, beside those among the devices.",
        "KVM_IOEVENTFD",
        lambda machine, ioeventfd: machine.ioeventfds.add(ioeventfd),
    ),
    _of_ioeventfd(
        RemoveIoeventfd,
        "remove_ioeventfd",
        "KVM_IOEVENTFD with KVM_IOEVENTFD_FLAG_DEASSIGN, with what it was set up with.",
        "KVM_IOEVENTFD deassign",
        lambda machine, ioeventfd: machine.ioeventfds.remove(ioeventfd),
    ),
    Kind(
        ReadIoeventfd,
        schema={
            "read_ioeventfd": _places(
                "The VMM reads the eventfd of an ioeventfd, by what that was set up with.",
                "count",
                count=number("How often it was signalled so far, in all."),
            )
        },
        read=_read_count,
        write=lambda action: {"read_ioeventfd": _entry(action) | {"count": action.count}},
        perform=_check_count,
        words=_counted,
    ),
    _of_zone(
        AddCoalescedZone,
        "add_coalesced",
        "KVM_REGISTER_COALESCED_MMIO, beside the zones among the devices.",
        "KVM_REGISTER_COALESCED_MMIO",
        lambda machine, zone: machine.zones.add(zone.addr, zone.size),
    ),
    _of_zone(
        RemoveCoalescedZone,
        "remove_coalesced",
        "KVM_UNREGISTER_COALESCED_MMIO of the zones that hold this range.",
        "KVM_UNREGISTER_COALESCED_MMIO",
        lambda machine, zone: machine.zones.remove(zone.addr, zone.size),
    ),
)
