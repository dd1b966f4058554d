"""Registers: KVM_SET_ONE_REG, pc past an instruction, and the masks of what may be written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from vcpu_scenario.actions.kind import Kind, Name, Node, Reader, bare, number, of
from vcpu_scenario.case import SetRegister, SkipInstruction
from vcpu_scenario.ioctls.vm import GetRegister, GetRegWritableMasks
from vcpu_scenario.kvm.registers import CORE_REGISTERS, FEATURE_IDS, id_of, name_of_id
from vcpu_scenario.machine.errors import Unexpected
from vcpu_scenario.machine.interface import Machine

_PC: Final = CORE_REGISTERS["pc"]


def _set_words(action: SetRegister, name: Name) -> str:
    value = name(action.value) if action.reg == "pc" else hex(action.value)
    return f"{action.reg} = {value}"


def _skip(machine: Machine, action: SkipInstruction) -> None:
    machine.set_one_reg(_PC, machine.get_one_reg(_PC) + 4)


def _get(machine: Machine, action: GetRegister) -> None:
    found = machine.get_one_reg(id_of(action.reg))
    if action.value is not None and found != action.value:
        what = f"KVM_GET_ONE_REG {action.reg}"
        raise Unexpected(f"{what} gave {found:#x}, expected {action.value:#x}")


_MASKS: Final = "KVM_ARM_GET_REG_WRITABLE_MASKS"
_WORD: Final = 0xFFFF_FFFF


def _read_masks(key: str, node: Node, reader: Reader) -> Iterable[GetRegWritableMasks]:
    asked = dict(reader.entries(node))
    masks = None
    if "masks" in asked:
        masks = tuple(reader.registers(asked["masks"]))
        for (name, _), (_, node) in zip(masks, reader.entries(asked["masks"]), strict=False):
            if id_of(name) not in FEATURE_IDS:
                reader.complain(
                    "no mask is of this register",
                    node,
                    found=name,
                    expected="one that tells features: s3_0_c0_c*_*, s3_1_c0_c*_* or s3_3_c0_c*_*",
                )
    words = (
        reader.number(asked[name], low=0, high=_WORD) if name in asked else 0
        for name in ("range", "reserved")
    )
    yield GetRegWritableMasks(masks, *words)


def _write_masks(action: GetRegWritableMasks) -> dict[str, Any]:
    masks = {} if action.masks is None else {"masks": dict(action.masks)}
    words = {"range": action.range, "reserved": action.reserved}
    return {"reg_writable_masks": masks | {key: word for key, word in words.items() if word}}


def _get_masks(machine: Machine, action: GetRegWritableMasks) -> None:
    found = machine.reg_writable_masks(action)
    if action.masks is None:
        return
    wanted = {id_of(name): mask for name, mask in action.masks}
    wrong = [
        f"{name_of_id(reg)} {found.get(reg, 0):#x} and not {wanted.get(reg, 0):#x}"
        for reg in sorted(found.keys() | wanted)
        if found.get(reg, 0) != wanted.get(reg, 0)
    ]
    if wrong:
        raise Unexpected(f"{_MASKS} gave {', '.join(wrong)}")


KINDS: Final = (
    Kind(
        SetRegister,
        schema={
            "set": {
                "description": "KVM_SET_ONE_REG for each register named.",
                "type": "object",
                "minProperties": 1,
                "additionalProperties": of("address", "The register's new value."),
            }
        },
        read=lambda key, node, reader: [
            SetRegister(name, value) for name, value in reader.registers(node)
        ],
        write=lambda action: {"set": {action.reg: action.value}},
        perform=lambda machine, action: machine.set_one_reg(id_of(action.reg), action.value),
        words=_set_words,
    ),
    Kind(
        GetRegister,
        schema={
            "get": {
                "description": "KVM_GET_ONE_REG of each register named, and what it is expected to"
                " give.",
                "type": "object",
                "minProperties": 1,
                "additionalProperties": of("address_by_case", "The register's value."),
            }
        },
        read=lambda key, node, reader: [
            GetRegister(name, value) for name, value in reader.registers(node)
        ],
        write=lambda action: {"get": {action.reg: action.value}},
        perform=_get,
        words=lambda action, name: f"KVM_GET_ONE_REG {action.reg}",
    ),
    Kind(
        GetRegWritableMasks,
        schema={
            "reg_writable_masks": {
                "description": f"{_MASKS}: what a VMM may write of the registers that tell "
                "features. A kernel that has none skips the case.",
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "masks": {
                        "description": "The masks expected: these, and 0 of all other registers.",
                        "type": "object",
                        "additionalProperties": of(
                            "definite_number_by_case", "The register's mask."
                        ),
                    },
                    "range": number("range. Default: 0, the only one so far."),
                    "reserved": number("Each word of reserved. Default: 0."),
                },
            }
        },
        read=_read_masks,
        write=_write_masks,
        perform=_get_masks,
        words=lambda action, name: " ".join(
            (
                _MASKS,
                *(f"range {word}" for word in (action.range,) if word),
                *(f"reserved {word:#x}" for word in (action.reserved,) if word),
            )
        ),
    ),
    bare(
        SkipInstruction(),
        "skip_instruction",
        "Adds 4 to the guest's pc.",
        _skip,
        "pc += 4",
    ),
)
