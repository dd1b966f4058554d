"""What is in guest memory at first: in a slot, and not over what else is there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from vcpu_scenario.case import Memslot
from vcpu_scenario.language.deviceentry import Devices
from vcpu_scenario.language.guest import Program
from vcpu_scenario.language.memory import Bytes, Memory, check_in_memory
from vcpu_scenario.language.scope import Scope
from vcpu_scenario.source import quoted
from vcpu_scenario.vmm.flash import BLOCK


def check_loads(program: Program, data: list[Bytes], memory: Memory, scope: Scope) -> None:
    """Reports code and bytes that lie in no slot."""
    span = program.span
    for load in program.loads if span is not None and program.ok else ():
        assert span is not None
        code = Bytes(load.addr, load.data, span, "")
        check_in_memory(code, memory, "the guest's code is", scope, zeros=load.zeros)
    for item in data:
        check_in_memory(item, memory, "these bytes are", scope)


_MOST_PAIRS: Final = 100_000
"""That are compared: a file may have so many bytes at one address that it would take hours."""


class _Put(NamedTuple):
    """Bytes that are put in memory, the ``order``-th; ``is_data`` is on for those that may patch
    a file."""

    order: int
    what: str
    lies: str
    bytes: Bytes
    is_data: bool = False

    @property
    def end(self) -> int:
        return self.bytes.addr + len(self.bytes.data)


def check_over(
    code: Program, tree: Bytes | None, memory: Memory, data: list[Bytes], scope: Scope
) -> None:
    """Reports what replaces something that is put in memory before it. What is 0 is room for
    more, and a file can be patched by ``data`` on purpose."""
    span, of_file = code.span, not code.lines
    loads = [Bytes(load.addr, load.data, span, "", of_file) for load in code.loads if span]
    put = [
        *(_Put(0, "the guest's code", "lies", load) for load in loads),
        *(_Put(1, "the device tree", "lies", item) for item in (tree,) if item is not None),
        *(
            _Put(2 + n, "the contents of a slot", "lie", item)
            for n, item in enumerate(memory.contents)
        ),
    ]
    put += [_Put(len(put) + 2 + n, "these bytes", "lie", item, True) for n, item in enumerate(data)]
    for number, (early, late) in enumerate(_meeting(put)):
        if number == _MOST_PAIRS:
            _too_many(late, scope)
            return
        if early.order != late.order and not (early.bytes.of_file and late.is_data):
            _check_pair(early, late, scope)


def _meeting(put: list[_Put]) -> Iterator[tuple[_Put, _Put]]:
    """Each two that have an address in common, the one that is put there first before the other."""
    ordered = sorted(put, key=lambda one: one.bytes.addr)
    for number, one in enumerate(ordered, 1):
        for other in islice(ordered, number, None):
            if other.bytes.addr >= one.end:
                break
            yield (one, other) if one.order < other.order else (other, one)


def _too_many(late: _Put, scope: Scope) -> None:
    scope.problems.add(
        "too much lies over something else",
        late.bytes.span,
        found=f"more than {_MOST_PAIRS:,} pairs of bytes with an address in common",
    )


def _check_pair(early: _Put, late: _Put, scope: Scope) -> None:
    addr = early.bytes.addr
    if any(early.bytes.data[max(late.bytes.addr - addr, 0) : max(late.end - addr, 0)]):
        scope.problems.add(
            f"{late.what} {late.lies} over {'other bytes' if early.is_data else early.what}",
            late.bytes.span,
            found=f"{late.bytes.addr:#x} to {late.end:#x}, "
            f"and {addr:#x} to {early.end:#x} at line {early.bytes.span.line}",
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
