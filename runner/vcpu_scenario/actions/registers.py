"""Registers: KVM_SET_ONE_REG, and pc past an instruction."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.actions.kind import Kind, Name, bare
from vcpu_scenario.case import SetRegister, SkipInstruction
from vcpu_scenario.kvm.registers import CORE_REGISTERS, id_of
from vcpu_scenario.machine.interface import Machine

_PC: Final = CORE_REGISTERS["pc"]


def _set_words(action: SetRegister, name: Name) -> str:
    value = name(action.value) if action.reg == "pc" else hex(action.value)
    return f"{action.reg} = {value}"


def _skip(machine: Machine, action: SkipInstruction) -> None:
    machine.set_one_reg(_PC, machine.get_one_reg(_PC) + 4)


KINDS: Final = (
    Kind(
        SetRegister,
        schema={
            "set": {
                "description": "KVM_SET_ONE_REG for each register named.",
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {
                    "$ref": "#/definitions/address",
                    "description": "The register's new value.",
                },
            }
        },
        read=lambda key, node, reader: [
            SetRegister(name, value) for name, value in reader.registers(node)
        ],
        write=lambda action: {"set": {action.reg: action.value}},
        perform=lambda machine, action: machine.set_one_reg(id_of(action.reg), action.value),
        words=_set_words,
    ),
    bare(
        SkipInstruction(),
        "skip_instruction",
        "Adds 4 to the guest's pc.",
        _skip,
        "pc += 4",
    ),
)
