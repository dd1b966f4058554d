"""What a guest may use that is told by name: neither Unicorn nor this machine has it, or Unicorn
has what the CPU lacks. Most is of Armv8.2.

PSTATE.UAO, half precision and AArch32 are found where they take effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.cpumodels import CpuModel
from vcpu_scenario.arm64.sysregs import Encoding, encoding_of
from vcpu_scenario.machine.emulated.cpu.hardware import Hardware
from vcpu_scenario.machine.emulated.cpu.regfile import UAO
from vcpu_scenario.machine.errors import NotModelled

CONTROLS: Final[Mapping[Encoding, tuple[int, str]]] = {
    sysregs.SCTLR_EL1: (1 << 44, "SCTLR_EL1.DSSBS (FEAT_SSBS)"),
    sysregs.SPSR_EL1: (1 << 12, "PSTATE.SSBS, which an exception return sets (FEAT_SSBS)"),
    sysregs.TCR_EL1: (1 << 40, "TCR_EL1.HD (FEAT_HAFDBS)"),
}
"""Bits that switch something on. A CPU without it ignores them."""
_PSTATE: Final = UAO | 1 << 12
_EPD0, _EPD1 = 1 << 7, 1 << 23
_SCTLR_IESB: Final = 1 << 21
_ESB: Final = 0xD503_221F
_MSR_SSBS: Final = 0xD503_403F
_IMMEDIATE: Final = 0xF << 8
_RAS_GROUPS: Final = {(5, 3), (5, 4), (5, 5)}
"""CRn and CRm of the registers of error records."""


def switched_on(model: CpuModel, encoding: Encoding, value: int) -> str:
    """The feature that ``value`` in the register switches on; empty where there is none."""
    bits, name = CONTROLS.get(encoding, (0, ""))
    return name if model.armv8_2 and value & bits else ""


def check_controls(cpu: Hardware) -> None:
    """Raises :class:`NotModelled` where a VMM has switched something on."""
    for encoding in CONTROLS:
        if on := switched_on(cpu.model, encoding, cpu.read_sys(encoding)):
            raise NotModelled(on)


_GRANULE: Final = "stage 1 with a granule that the CPU lacks (TCR_EL1.TG0, TG1)"
_SIZE: Final = "stage 1 of a size that no CPU here has (TCR_EL1.T0SZ of {}; 16 to 39)"


def unwalkable(model: CpuModel, tcr: int) -> str:
    """What of TCR_EL1 says of stage 1 that each CPU takes for something else; empty where nothing
    does. Unicorn has every granule, and takes the size that is next. The upper half's size counts
    for who uses it alone, and is what small guests leave at 0."""
    lacks_16k = not model.id_registers[sysregs.ID_AA64MMFR0_EL1] >> 20 & 0xF
    tg0, tg1, size = tcr >> 14 & 3, tcr >> 30 & 3, tcr & 0x3F
    lower = not tcr & _EPD0 and (tg0 == 3 or (tg0 == 2 and lacks_16k))
    upper = not tcr & _EPD1 and tg1 == 1 and lacks_16k
    if lower or upper:
        return _GRANULE
    return "" if tcr & _EPD0 or 16 <= size <= 39 else _SIZE.format(size)


def check_walks(cpu: Hardware) -> None:
    """Raises :class:`NotModelled` where stage 1 is on and is such a one."""
    if cpu.mmu_on and (what := unwalkable(cpu.model, cpu.read_sys(sysregs.TCR_EL1))):
        raise NotModelled(what)


def check_pstate(model: CpuModel, value: int) -> None:
    """Raises :class:`NotModelled` where a VMM sets such a bit of PSTATE."""
    if model.armv8_2 and value & _PSTATE:
        raise NotModelled("PSTATE.UAO or PSTATE.SSBS")


def check_system(cpu: Hardware, word: int) -> None:
    """Raises :class:`NotModelled` where the CPU has ``word``, a system instruction that is
    UNDEFINED for Unicorn."""
    if not cpu.model.armv8_2:
        return
    encoding = encoding_of(word)
    if encoding == sysregs.SSBS or word & ~_IMMEDIATE == _MSR_SSBS:
        raise NotModelled("PSTATE.SSBS (FEAT_SSBS)")
    op0, op1, crn, crm, _ = encoding
    records = (op0, op1) == (3, 0) and (crn, crm) in _RAS_GROUPS
    if cpu.current_el and (records or encoding == sysregs.DISR_EL1):
        raise NotModelled("a register of the RAS extension (FEAT_RAS)")


def check_barrier(cpu: Hardware) -> None:
    """Raises :class:`NotModelled` where an SError that is pending may be deferred."""
    if not cpu.model.ras:
        return
    if cpu.word_at_pc() == _ESB or cpu.sctlr_el1.value & _SCTLR_IESB:
        raise NotModelled("an error synchronization barrier while an SError pends (FEAT_RAS)")
