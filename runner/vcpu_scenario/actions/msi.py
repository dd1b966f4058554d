"""What a device writes to an ITS: as a scenario says it, and KVM_SIGNAL_MSI."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from vcpu_scenario.actions.kind import Kind, Node, Reader, fields, number, of
from vcpu_scenario.ioctls.devices import SignalMsi
from vcpu_scenario.machine.errors import Unexpected
from vcpu_scenario.machine.interface import Machine

_WORD: Final = 0xFFFF_FFFF

Msi: TypeAlias = tuple[int, int, int | None]
"""Address and data, and which device wrote, None where the VMM does not say."""


def read_msi(asked: dict[str, Node], reader: Reader) -> Msi:
    address = reader.address(asked["address"]) if "address" in asked else 0
    data, device = (
        reader.number(asked[key], low=0, high=_WORD) if key in asked else None
        for key in ("data", "device")
    )
    return address, data or 0, device


def write_msi(address: int, data: int, device: int | None) -> dict[str, int]:
    of = {} if device is None else {"device": device}
    return {"address": address, "data": data} | of


def msi_words(address: int, data: int, device: int | None) -> str:
    of = "" if device is None else f" of device {device:#x}"
    return f"MSI {data:#x} at {address:#x}{of}"


def msi_schema(description: str, **more: Any) -> dict[str, Any]:
    return fields(
        description,
        ["address", "data"],
        address=of("address", "Where it is written: GITS_TRANSLATER, 0x10040 above the ITS."),
        data=number("What is written: the event."),
        device=number("devid, with KVM_MSI_VALID_DEVID. Default: not said."),
        **more,
    )


def _read_signal(key: str, node: Node, reader: Reader) -> Iterable[SignalMsi]:
    asked = dict(reader.entries(node))
    delivered = reader.flag(asked["delivered"]) if "delivered" in asked else None
    yield SignalMsi(*read_msi(asked, reader), delivered)


def _write_signal(action: SignalMsi) -> dict[str, Any]:
    told = {} if action.delivered is None else {"delivered": action.delivered}
    return {"signal_msi": write_msi(action.address, action.data, action.device) | told}


def _signal(machine: Machine, action: SignalMsi) -> None:
    found = machine.signal_msi(action)
    if action.delivered is not None and found is not action.delivered:
        words = {True: "1, delivered", False: "0, blocked"}
        raise Unexpected(f"KVM_SIGNAL_MSI gave {words[found]}, expected {words[action.delivered]}")


KINDS: Final = (
    Kind(
        SignalMsi,
        schema={
            "signal_msi": msi_schema(
                "KVM_SIGNAL_MSI: what a device would write to the ITS.",
                delivered=of(
                    "flag",
                    "Whether it is expected to be delivered, or blocked by the guest, which has "
                    "not mapped the event. Default: either.",
                ),
            )
        },
        read=_read_signal,
        write=_write_signal,
        perform=_signal,
        words=lambda action, name: (
            f"KVM_SIGNAL_MSI {msi_words(action.address, action.data, action.device)}"
        ),
    ),
)
