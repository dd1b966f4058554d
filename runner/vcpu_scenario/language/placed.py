"""What is in guest memory at first: in a slot, and not over what else is there."""

from __future__ import annotations

from vcpu_scenario.case import Memslot
from vcpu_scenario.language.devices import Devices
from vcpu_scenario.language.guest import Program
from vcpu_scenario.language.memory import Bytes, Memory, check_in_memory
from vcpu_scenario.language.scope import Scope
from vcpu_scenario.source import quoted
from vcpu_scenario.vmm.flash import BLOCK


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


def check_flashes(devices: Devices, slots: list[Memslot], scope: Scope) -> None:
    """Reports a flash whose memory is not a read-only slot of its own."""
    spans = {region.low: region.span for region in devices.regions if region.kind == "userspace"}
    for device in devices.userspace:
        if device.model != "cfi-flash" or device.base not in spans:
            continue
        if device.size < 2 * BLOCK or device.size & device.size - 1:
            scope.problems.add(
                "no flash has this size",
                spans[device.base],
                found=f"{device.size:#x}",
                expected=f"a power of two, {2 * BLOCK >> 10}KiB or more",
            )
        elif Memslot(device.base, device.size, readonly=True) not in slots:
            scope.problems.add(
                f"the flash {quoted(device.name)} has no memory",
                spans[device.base],
                expected=f"a slot of `memory` that is readonly, {device.size:#x} bytes at "
                f"{device.base:#x}",
            )
