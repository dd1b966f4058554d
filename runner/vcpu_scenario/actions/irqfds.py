"""KVM_IRQFD: interrupts that an eventfd raises, and that another says the guest has ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from vcpu_scenario.actions.kind import Kind, Node, Reader, fields, number, of
from vcpu_scenario.ioctls.devices import Irqfd, ReadResamples, RemoveIrqfd, SignalIrqfd
from vcpu_scenario.machine.errors import Unexpected
from vcpu_scenario.machine.interface import Machine

_HIGHEST: Final = 0xFFFF
_GSI: Final = number("gsi: the SPI less 32, as KVM routes them at first.")


def _gsi(asked: dict[str, Node], reader: Reader) -> int:
    return reader.number(asked["gsi"], low=0, high=_HIGHEST) if "gsi" in asked else 0


def _read_irqfd(key: str, node: Node, reader: Reader) -> Iterable[Irqfd]:
    asked = dict(reader.entries(node))
    yield Irqfd(_gsi(asked, reader), reader.flag(asked.get("resample")))


def _write_irqfd(action: Irqfd) -> dict[str, Any]:
    resample = {"resample": True} if action.resample else {}
    return {"irqfd": {"gsi": action.gsi} | resample}


def _read_resampled(key: str, node: Node, reader: Reader) -> Iterable[ReadResamples]:
    asked = dict(reader.entries(node))
    count = reader.number(asked["count"], low=0, high=_HIGHEST) if "count" in asked else None
    yield ReadResamples(_gsi(asked, reader), count)


def _write_resampled(action: ReadResamples) -> dict[str, Any]:
    count = {} if action.count is None else {"count": action.count}
    return {"resampled": {"gsi": action.gsi} | count}


def _resampled(machine: Machine, action: ReadResamples) -> None:
    found = machine.irqfds.resamples(action.gsi)
    if action.count is not None and found != action.count:
        raise Unexpected(
            f"the resamplefd of gsi {action.gsi} gave {found}, expected {action.count}"
        )


def _schema(description: str, **more: Any) -> dict[str, Any]:
    return fields(
        description,
        ["gsi"],
        gsi=_GSI,
        **more,
    )


KINDS: Final = (
    Kind(
        Irqfd,
        schema={
            "irqfd": _schema(
                "KVM_IRQFD: the eventfd that the VMM has for this gsi raises its interrupt.",
                resample=of(
                    "flag",
                    "KVM_IRQFD_FLAG_RESAMPLE: the interrupt stays raised until "
                    "the guest has ended it, which a second eventfd tells. Default: false.",
                    default=False,
                ),
            )
        },
        read=_read_irqfd,
        write=_write_irqfd,
        perform=lambda machine, action: machine.irqfds.add(action),
        words=lambda action, name: (
            f"KVM_IRQFD gsi {action.gsi}{' resample' if action.resample else ''}"
        ),
    ),
    Kind(
        RemoveIrqfd,
        schema={"remove_irqfd": _schema("KVM_IRQFD with KVM_IRQFD_FLAG_DEASSIGN.")},
        read=lambda key, node, reader: [RemoveIrqfd(_gsi(dict(reader.entries(node)), reader))],
        write=lambda action: {"remove_irqfd": {"gsi": action.gsi}},
        perform=lambda machine, action: machine.irqfds.remove(action.gsi),
        words=lambda action, name: f"KVM_IRQFD deassign gsi {action.gsi}",
    ),
    Kind(
        SignalIrqfd,
        schema={"signal_irqfd": _schema("The VMM writes to the eventfd that it has for this gsi.")},
        read=lambda key, node, reader: [SignalIrqfd(_gsi(dict(reader.entries(node)), reader))],
        write=lambda action: {"signal_irqfd": {"gsi": action.gsi}},
        perform=lambda machine, action: machine.irqfds.signal(action.gsi),
        words=lambda action, name: f"write to the irqfd of gsi {action.gsi}",
    ),
    Kind(
        ReadResamples,
        schema={
            "resampled": _schema(
                "The VMM reads the eventfd that resampling signals.",
                count=number(
                    "How often it must have been signalled since it was read "
                    "last. Default: any number."
                ),
            )
        },
        read=_read_resampled,
        write=_write_resampled,
        perform=_resampled,
        words=lambda action, name: f"read of the resamplefd of gsi {action.gsi}",
    ),
)
