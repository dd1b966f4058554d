"""What numbers are called in an exported program: addresses, registers, exits, errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from vcpu_scenario.case import Case, Load
from vcpu_scenario.export.text import identifier
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.errnos import ERRNOS
from vcpu_scenario.kvm.registers import ALIASES, OTHER_REGISTERS, SYSTEM_REGISTERS, id_of, size_of
from vcpu_scenario.vmm.setup import features_of

_CORE: Final = {
    **{f"x{n}": f"REG_X({n})" for n in range(31)},
    "pc": "REG_PC",
    "pstate": "REG_PSTATE",
    "sp_el0": "CORE_REG(regs.sp)",
    "sp_el1": "CORE_REG(sp_el1)",
    "elr_el1": "CORE_REG(elr_el1)",
    "spsr_el1": "CORE_REG(spsr[KVM_SPSR_EL1])",
    "spsr_abt": "CORE_REG(spsr[KVM_SPSR_ABT])",
    "spsr_und": "CORE_REG(spsr[KVM_SPSR_UND])",
    "spsr_irq": "CORE_REG(spsr[KVM_SPSR_IRQ])",
    "spsr_fiq": "CORE_REG(spsr[KVM_SPSR_FIQ])",
    **{f"v{n}": f"REG_V({n})" for n in range(32)},
    "fpsr": "FP_REG_32(fpsr)",
    "fpcr": "FP_REG_32(fpcr)",
    "cntv_ctl_el0": "KVM_REG_ARM_TIMER_CTL",
    "cntv_cval_el0": "KVM_REG_ARM_TIMER_CVAL",
    "cntvct_el0": "KVM_REG_ARM_TIMER_CNT",
    "cntp_ctl_el0": "KVM_REG_ARM_PTIMER_CTL",
    "cntp_cval_el0": "KVM_REG_ARM_PTIMER_CVAL",
    "cntpct_el0": "KVM_REG_ARM_PTIMER_CNT",
}
_GENERIC: Final = re.compile(r"s([23])_([0-7])_c(\d+)_c(\d+)_([0-7])\Z")
_EXITS: Final[Mapping[str, str]] = {
    name: f"KVM_EXIT_{name}" for number, name in abi.EXIT_NAMES.items() if number < 32
}
"""Those that headers of 6.1 have."""

_NUMBERS: Final = {name: number for number, name in abi.EXIT_NAMES.items()}
_ERRORS: Final = {number: name for name, number in ERRNOS.items()}


class Names:
    """The names of one program. Each that is used is noted: it has to be defined."""

    def __init__(
        self, case: Case, code: Load, symbols: Mapping[str, int], *, debugger: bool = False
    ) -> None:
        """``debugger`` says that the VMM does things of its own for one that is attached."""
        self.code = code
        self.debugger = debugger
        self.features = features_of(case)
        self.power_off = case.vcpus > 1
        """Whether some vCPUs have another feature than the first."""
        self.labels = {
            name: addr for name, addr in symbols.items() if 0 <= addr - code.addr <= len(code.data)
        }
        self.used_labels: dict[str, str] = {}
        """Labels by what they are called in C."""
        self.snapshots: dict[str, str] = {}
        """Snapshots by what they are called in C, behind ``snapshot_``."""
        self.definitions: dict[str, str] = {}
        """Macros by name: registers and the bases of devices."""
        self._places = sorted((addr, name) for name, addr in self.labels.items())
        self._regions = [
            (each.base, each.size, f"{identifier(each.name).upper()}_BASE", each.base)
            for each in case.devices
            if each.size < 1 << 48
        ]
        if (gic := case.gic) is not None:
            self._regions += _frames(gic.version, gic.dist, gic.redist, gic.cpu, case.vcpus)

    def address(self, addr: int) -> str:
        """``PC(label)``, ``PC(label) + 4``, ``UART_BASE + 0x18``, or the number."""
        if 0 <= addr - self.code.addr <= len(self.code.data):
            return self._in_code(addr)
        for base, size, name, value in self._regions:
            if 0 <= addr - base < size:
                self.define(name, value)
                return _plus(name, addr - base)
        return f"{addr:#x}"

    def define(self, name: str, value: int) -> None:
        """A macro for a number."""
        self.definitions.setdefault(name, f"{value:#x}")

    def _in_code(self, addr: int) -> str:
        before = [place for place in self._places if place[0] <= addr]
        if not before:
            return _plus("GUEST_CODE", addr - self.code.addr)
        at, label = before[-1]
        name = self.label(label)
        return _plus(f"PC({name})", addr - at)

    def label(self, label: str) -> str:
        """The label's name in C, where ``at_`` stands before it."""
        return _unused(identifier(label).lstrip("_") or "label", label, self.used_labels)

    def snapshot(self, name: str) -> str:
        """The variable of a snapshot."""
        return f"snapshot_{_unused(identifier(name).strip('_') or 'kept', name, self.snapshots)}"

    def register(self, name: str) -> str:
        """The register's id."""
        name = ALIASES.get(name, name)
        if core := _CORE.get(name):
            return core
        if name[:2] in ("0x", "0X"):
            return f"{int(name, 16):#x}"
        if (other := OTHER_REGISTERS.get(name)) is not None:
            return self._other(name, other)
        encoding = SYSTEM_REGISTERS.get(name)
        if encoding is None and (found := _GENERIC.match(name)):
            a, b, c, d, e = map(int, found.groups())
            encoding = (a, b, c, d, e)
        if encoding is None:
            raise ValueError(f"no register is called {name!r}")
        macro = f"ONE_REG_{name.upper()}"  # the kernel's tree has REG_ before each name
        self.definitions[macro] = f"ARM64_SYS_REG({', '.join(map(str, encoding))})"
        return macro

    def width(self, name: str) -> int:
        """Bytes of the register: 4, 8 or 16, or more where there is no such register."""
        return size_of(id_of(name))

    def _other(self, name: str, reg: int) -> str:
        self.definitions[macro := f"REG_{name.upper()}"] = f"{reg:#x}"
        return macro


def _unused(name: str, meant: str, used: dict[str, str]) -> str:
    """``name``, longer where it stands for something else than what is ``meant``."""
    while used.get(name, meant) != meant:
        name += "_"
    used[name] = meant
    return name


def _frames(
    version: int, dist: int, redist: int, cpu: int, vcpus: int
) -> list[tuple[int, int, str, int]]:
    if version == 3:
        redists = redist, 0x20000 * vcpus, "GICR_BASE", redist
        return [(dist, 0x10000, "GICD_BASE", dist), redists]
    return [(dist, 0x1000, "GICD_BASE", dist), (cpu, 0x2000, "GICC_BASE", cpu)]


def _plus(name: str, offset: int) -> str:
    if not offset:
        return name
    return f"{name} + {offset if offset < 10 else hex(offset)}"


def exit_reason(name: str) -> str:
    """``KVM_EXIT_MMIO``; a number for a reason that headers of 6.1 do not name."""
    return _EXITS.get(name) or str(_NUMBERS.get(name, name))


def error(number: int) -> str:
    """``EINTR``"""
    return _ERRORS.get(number, str(number))


def flags(value: int, named: Mapping[int, str]) -> str:
    """The bits of ``value`` by their names, what has none as a number."""
    words = [name for bit, name in named.items() if value & bit]
    rest = value & ~sum(named)
    return " | ".join([*words, *([f"{rest:#x}"] if rest else [])]) or "0"
