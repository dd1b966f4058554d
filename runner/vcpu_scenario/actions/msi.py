"""What a device writes to an ITS: as a scenario says it."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from vcpu_scenario.actions.kind import Node, Reader, number

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
    return {
        "description": description,
        "type": "object",
        "additionalProperties": False,
        "required": ["address", "data"],
        "properties": {
            "address": {
                "$ref": "#/definitions/address",
                "description": "Where it is written: GITS_TRANSLATER, 0x10040 above the ITS.",
            },
            "data": number("What is written: the event."),
            "device": number("devid, with KVM_MSI_VALID_DEVID. Default: not said."),
            **more,
        },
    }
