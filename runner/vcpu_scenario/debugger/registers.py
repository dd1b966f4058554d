"""The registers that the stub shows, by GDB's description of AArch64, and that description."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from vcpu_scenario.vmm.vmms.base import Vmm
from vcpu_scenario.vmm.vmms.terms import CPSR, FPCR, FPSR, PC, SP, V0


class Register(NamedTuple):
    """``size`` in bytes."""

    name: str
    size: int
    kind: str = ""


SYSTEM: Final = 8
"""The size of those that a VMM shows behind :data:`REGISTERS`."""
CORE: Final = (
    *(Register(f"x{n}", 8) for n in range(31)),
    Register("sp", 8, "data_ptr"),
    Register("pc", 8, "code_ptr"),
    Register("cpsr", 4),
)
FPU: Final = (
    *(Register(f"v{n}", 16, "aarch64v") for n in range(32)),
    Register("fpsr", 4),
    Register("fpcr", 4),
)
REGISTERS: Final = (*CORE, *FPU)

assert [CORE[n].name for n in (SP, PC, CPSR)] == ["sp", "pc", "cpsr"]
assert [REGISTERS[n].name for n in (V0, FPSR, FPCR)] == ["v0", "fpsr", "fpcr"]

_HEAD: Final = '<?xml version="1.0"?>\n<!DOCTYPE {kind} SYSTEM "gdb-target.dtd">\n'


_LANES: Final = {"d": 64, "s": 32, "h": 16, "b": 8, "q": 128}
_FLOATS: Final = {64: "ieee_double", 32: "ieee_single", 16: "ieee_half"}


def _vectors() -> Iterator[str]:
    """The type of a SIMD register: lanes by size, each as floats, unsigned and signed."""
    for lane, bits in _LANES.items():
        kinds = {"u": f"uint{bits}", "s": f"int{bits}"}
        if bits in _FLOATS:
            kinds["f"] = _FLOATS[bits]
        for kind, name in kinds.items():
            yield f'  <vector id="{lane}{kind}" type="{name}" count="{128 // bits}"/>'
        fields = "".join(f'<field name="{kind}" type="{lane}{kind}"/>' for kind in kinds)
        yield f'  <union id="lanes-{lane}">{fields}</union>'
    fields = "".join(f'<field name="{lane}" type="lanes-{lane}"/>' for lane in _LANES)
    yield f'  <union id="aarch64v">{fields}</union>'


def _feature(
    name: str, registers: tuple[Register, ...], first: int, types: Iterable[str] = ()
) -> str:
    lines = [f'<feature name="org.gnu.gdb.aarch64.{name}">', *types]
    for number, register in enumerate(registers, first):
        kind = f' type="{register.kind}"' if register.kind else ""
        bits = 8 * register.size
        lines.append(f'  <reg name="{register.name}" bitsize="{bits}" regnum="{number}"{kind}/>')
    return "\n".join((*lines, "</feature>", ""))


def _target(*names: str) -> str:
    includes = "".join(f'<xi:include href="{name}.xml"/>' for name in names)
    architecture = "<architecture>aarch64</architecture>"
    return _HEAD.format(kind="target") + f"<target>{architecture}{includes}</target>\n"


_OURS: Final = ("aarch64-core", "aarch64-fpu")
_SYSTEM: Final = "system-registers"
_FILES: Final = {
    "target.xml": _target(*_OURS),
    "aarch64-core.xml": _HEAD.format(kind="feature") + _feature("core", CORE, 0),
    "aarch64-fpu.xml": _HEAD.format(kind="feature") + _feature("fpu", FPU, len(CORE), _vectors()),
}


def files(vmm: Vmm) -> Mapping[str, str]:
    """What ``qXfer:features:read`` reads, by name."""
    if not vmm.system_registers:
        return _FILES
    system = {"target.xml": _target(*_OURS, _SYSTEM), f"{_SYSTEM}.xml": _system(vmm)}
    return {**_FILES, **system}


def _system(vmm: Vmm) -> str:
    """As QEMU has it: up to 7.2 a target, of registers without a type."""
    kind = ' type="int"' if vmm.types_system else ""
    lines = (
        f'<reg name="{name}" bitsize="{8 * SYSTEM}" regnum="{number}"{kind} group="cp_regs"/>'
        for number, name in enumerate(vmm.system_registers, len(REGISTERS))
    )
    head = _HEAD.format(kind="feature" if vmm.types_system else "target").replace("\n", "")
    return f'{head}<feature name="org.qemu.gdb.arm.sys.regs">{"".join(lines)}</feature>'
