"""Devices that the kernel handles: vGICs, ioeventfds and coalesced zones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal

from vcpu_scenario.actions.doorbells import read_datamatch
from vcpu_scenario.arm64.mmioregisters import cpu_interface, redistributor
from vcpu_scenario.arm64.mmioregisters import distributor as distributor_registers
from vcpu_scenario.case import CoalescedZone, Gic, Ioeventfd
from vcpu_scenario.language.deviceentry import DEFAULT_SIZE, Entry, placed_at

_DISTRIBUTOR: Final = {2: 0x1000, 3: 0x1_0000}
REDISTRIBUTOR: Final = 0x2_0000
CPU_INTERFACE: Final = 0x2000


def read_vgic(version: Literal[2, 3], other: str, size: int) -> Callable[[Entry, str], None]:
    def read(entry: Entry, model: str) -> None:
        distributor = entry.region("vgic", "distributor", _DISTRIBUTOR[version])
        second = entry.region("vgic", other, size)
        if entry.found.gic is not None:
            entry.scope.problems.add("a VM has one interrupt controller", entry.name.span)
        if version == 3:
            entry.found.gic = Gic(3, distributor, redist=second)
        else:
            entry.found.gic = Gic(2, distributor, cpu=second)
        entry.found.registers[entry.name.text] = _registers_of(version, distributor, second)

    return read


# Most scenarios have their controller at the same place, and it has hundreds of registers.
@lru_cache(maxsize=16)
def _registers_of(version: Literal[2, 3], distributor: int, second: int) -> Mapping[str, int]:
    others = redistributor() if version == 3 else cpu_interface()
    found = placed_at(distributor, distributor_registers(version)) | placed_at(second, others)
    return MappingProxyType(found)


def read_ioeventfd(entry: Entry, model: str) -> None:
    length = entry.number("len")
    node = entry.node.get("len")
    if length not in (0, 1, 2, 4, 8) and node is not None:
        entry.scope.problems.add(
            "no access has this width", node.span, found=str(length), expected="0, 1, 2, 4 or 8"
        )
    match = entry.node.get("match")
    if match is not None and node is not None and length == 0:
        entry.scope.problems.add(
            "an ioeventfd of any width matches any value",
            match.span,
            expected="`match` only with `len` 1, 2, 4 or 8",
        )
    addr = entry.region("kernel bus", "at", max(length, 1))
    datamatch = read_datamatch(match, length, entry.scope)
    entry.found.ioeventfds[entry.name.text] = Ioeventfd(addr, length, datamatch)


def read_coalesced(entry: Entry, model: str) -> None:
    size = entry.number("size", DEFAULT_SIZE, (1 << 32) - 1)
    entry.found.coalesced.append(CoalescedZone(entry.region("kernel bus", "at", size), size))
