"""What a VMM keeps of its vCPUs and memory, and gives to vCPUs later.

The run loop does both (:mod:`vcpu_scenario.vmm.snapshots`), since a new VM takes the place of the
old one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NoReturn, get_args

from vcpu_scenario.actions.kind import Kind, Node, Reader, of
from vcpu_scenario.ioctls.vm import Into, RestoreSnapshot, TakeSnapshot
from vcpu_scenario.kvm.errnos import errno_name, errno_word
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.machine.interface import Machine

_INTO: Final = get_args(Into)
_PLACES: Final[dict[str, str]] = {"new_vm": "a new VM", "same_vm": "the same VM"}


def _elsewhere(_machine: Machine, action: TakeSnapshot | RestoreSnapshot) -> NoReturn:
    raise Unsupported(f"the snapshot `{action.name}`: only a run of the scenario's own has any")


def _read_restore(key: str, node: Node, reader: Reader) -> Iterable[RestoreSnapshot]:
    asked = dict(reader.entries(node))
    named = asked.get("snapshot", node)
    refused = reader.refusals(asked.get("refused"))
    yield RestoreSnapshot(
        reader.snapshot(named, taken=False), _read_into(asked.get("into"), reader), refused
    )


def _read_into(node: Node | None, reader: Reader) -> Into:
    found = "new_vm" if node is None else reader.text(node)
    if node is not None and found not in _INTO:
        reader.complain("no such place", node, found=found, expected=" or ".join(_INTO))
    return "same_vm" if found == "same_vm" else "new_vm"


def _write_restore(action: RestoreSnapshot) -> dict[str, Any]:
    entry: dict[str, Any] = {"snapshot": action.name}
    if action.into != _INTO[0]:
        entry["into"] = action.into
    if action.refused:
        entry["refused"] = {name: errno_word(errno) for name, errno in action.refused}
    return {"restore": action.name if len(entry) == 1 else entry}


def _restore_words(action: RestoreSnapshot) -> str:
    refused = ", ".join(f"{name} {errno_name(errno)}" for name, errno in action.refused)
    told = f", expected to refuse {refused}" if refused else ""
    return f"restores `{action.name}` into {_PLACES[action.into]}{told}"


KINDS: Final = (
    Kind(
        TakeSnapshot,
        schema={
            "snapshot": {
                "description": "Keeps under this name what KVM says of every vCPU"
                " (KVM_GET_REG_LIST, KVM_GET_ONE_REG of each, KVM_GET_MP_STATE,"
                " KVM_GET_VCPU_EVENTS), and guest memory.",
                "type": "string",
                "minLength": 1,
            }
        },
        read=lambda key, node, reader: [TakeSnapshot(reader.snapshot(node, taken=True))],
        write=lambda action: {"snapshot": action.name},
        perform=_elsewhere,
        words=lambda action, name: f"takes the snapshot `{action.name}`",
    ),
    Kind(
        RestoreSnapshot,
        schema={
            "restore": {
                "title": "the name of a snapshot, or a mapping that says more",
                "description": "Gives vCPUs and memory what a snapshot has of them: each register"
                " in the order of the list, then the events and the MP state. Nothing else of KVM"
                " is restored.",
                "type": ["string", "object"],
                "additionalProperties": False,
                "required": ["snapshot"],
                "properties": {
                    "snapshot": {"description": "Its name.", "type": "string"},
                    "into": {
                        "description": "`new_vm`: vCPUs of a new VM, which is set up as the first"
                        " one was, with each `set_vcpu_attr` of `before`. `same_vm`: those that"
                        " there are, after KVM_ARM_VCPU_INIT. Default: new_vm.",
                        "title": f"one of {', '.join(_INTO)}",
                        "type": "string",
                        "pattern": rf"^({'|'.join(_INTO)})$|\$\{{",
                        "default": _INTO[0],
                    },
                    "refused": {
                        "description": "Registers that KVM_SET_ONE_REG is to refuse, each with"
                        " its error.",
                        "type": "object",
                        "additionalProperties": of("errno_by_case", "Which error."),
                    },
                },
            }
        },
        read=_read_restore,
        write=_write_restore,
        perform=_elsewhere,
        words=lambda action, name: _restore_words(action),
    ),
)
