"""What is in guest memory at first: in a slot, and not over what else is there."""

from __future__ import annotations

from vcpu_scenario.language.guest import Program
from vcpu_scenario.language.memory import Bytes, Memory, check_in_memory
from vcpu_scenario.language.scope import Scope


def check_loads(program: Program, data: list[Bytes], memory: Memory, scope: Scope) -> None:
    """Reports code and bytes that lie in no slot, and bytes that lie over code."""
    span = program.span
    for load in program.loads if span is not None and program.ok else ():
        assert span is not None
        code = Bytes(load.addr, load.data, span, "")
        check_in_memory(code, memory, "the guest's code is", scope, zeros=load.zeros)
    for item in data:
        check_in_memory(item, memory, "these bytes are", scope)
        _check_beside_code(item, program, scope)


def _check_beside_code(item: Bytes, program: Program, scope: Scope) -> None:
    """Reports bytes that replace some of the code as it is written; what it leaves 0 is room for
    them, and a file can be patched on purpose."""
    for load in program.loads if program.lines else ():
        first, end = item.addr - load.addr, item.addr - load.addr + len(item.data)
        if end > 0 and any(load.data[max(first, 0) : end]):
            scope.problems.add(
                "these bytes lie over the guest's code",
                item.span,
                found=f"{item.addr:#x} to {item.addr + len(item.data):#x}, and code from"
                f" {load.addr:#x} to {load.addr + len(load.data):#x}",
            )
