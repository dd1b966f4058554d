"""The state at the end of a run, in C."""

from __future__ import annotations

from collections.abc import Iterator

from vcpu_scenario.case import Case
from vcpu_scenario.expectation import Final, OutputCheck, RegListCheck, RingCheck
from vcpu_scenario.export.conditions import register
from vcpu_scenario.export.devices import pl011
from vcpu_scenario.export.names import Names
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.export.text import byte_string, literal
from vcpu_scenario.vmm.devices import SENDING


def at_the_end(final: Final, case: Case, names: Names) -> Iterator[str]:
    """The lines that hold the state against what is expected of it."""
    for reg in final.regs:
        yield _expect(register(reg, names))
    for memory in final.memory:
        data = byte_string(memory.data)
        yield _expect(f"memory_is({names.address(memory.addr)}, {data}, {len(memory.data)})")
    for eventfd in final.eventfds:
        yield _expect(f"same(eventfd_count({eventfd.index}), {eventfd.count})")
    if final.ring is not None:
        yield from _ring(final.ring, names)
    for output in final.outputs:
        yield from _output(output, case)
    if final.output_parts:
        raise Unexportable("final.output_has")
    if final.reg_list is not None:
        yield from _reg_list(final.reg_list, names)


def _expect(condition: str) -> str:
    return f"expect_at_the_end({condition});"


def _ring(ring: RingCheck, names: Names) -> Iterator[str]:
    yield _expect(f"entries_in_ring({len(ring.entries)})")
    for number, (addr, length, data) in enumerate(ring.entries):
        entry = f"ring_entry_is({number}, {names.address(addr)}, {length}, {byte_string(data)}"
        yield _expect(f"{entry}, {len(data)})")


def _reg_list(check: RegListCheck, names: Names) -> Iterator[str]:
    for one in check.registers:
        yield _expect(f"listed({names.register(one.reg)}, {'true' if one.listed else 'false'})")
    if check.count is not None:
        yield _expect(f"same(reg_list()->n, {check.count})")


def _output(check: OutputCheck, case: Case) -> Iterator[str]:
    device = next((each for each in case.devices if each.name == check.device), None)
    if device is None or device.model not in SENDING:
        raise Unexportable(f"output of {check.device}, which sends nothing")
    uart, size = pl011(device), len(check.data)
    yield _expect(f"same({uart}.sent, {size})")
    text = f'same_bytes("the output", {uart}.output, {literal(check.data)}, {size})'
    yield _expect(text)
