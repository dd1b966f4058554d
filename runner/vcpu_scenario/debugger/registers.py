"""The registers that the stub shows, by GDB's description of AArch64, and that description."""

from __future__ import annotations

from typing import Final, NamedTuple

from vcpu_scenario.vmm.vmms.base import CPSR, FPCR, FPSR, PC, SP, V0


class Register(NamedTuple):
    """``size`` in bytes."""

    name: str
    size: int
    kind: str = ""


CORE: Final = (
    *(Register(f"x{n}", 8) for n in range(31)),
    Register("sp", 8, "data_ptr"),
    Register("pc", 8, "code_ptr"),
    Register("cpsr", 4),
)
FPU: Final = (
    *(Register(f"v{n}", 16, "uint128") for n in range(32)),
    Register("fpsr", 4),
    Register("fpcr", 4),
)
REGISTERS: Final = (*CORE, *FPU)

assert [CORE[n].name for n in (SP, PC, CPSR)] == ["sp", "pc", "cpsr"]
assert [REGISTERS[n].name for n in (V0, FPSR, FPCR)] == ["v0", "fpsr", "fpcr"]

_HEAD: Final = '<?xml version="1.0"?>\n<!DOCTYPE {kind} SYSTEM "gdb-target.dtd">\n'


def _feature(name: str, registers: tuple[Register, ...], first: int) -> str:
    lines = [f'<feature name="org.gnu.gdb.aarch64.{name}">']
    for number, register in enumerate(registers, first):
        kind = f' type="{register.kind}"' if register.kind else ""
        bits = 8 * register.size
        lines.append(f'  <reg name="{register.name}" bitsize="{bits}" regnum="{number}"{kind}/>')
    return "\n".join((*lines, "</feature>", ""))


_INCLUDES: Final = "".join(f'<xi:include href="aarch64-{name}.xml"/>' for name in ("core", "fpu"))

FILES: Final = {
    "target.xml": _HEAD.format(kind="target")
    + "<target><architecture>aarch64</architecture>"
    + f"{_INCLUDES}</target>\n",
    "aarch64-core.xml": _HEAD.format(kind="feature") + _feature("core", CORE, 0),
    "aarch64-fpu.xml": _HEAD.format(kind="feature") + _feature("fpu", FPU, len(CORE)),
}
"""What ``qXfer:features:read`` reads, by name."""
