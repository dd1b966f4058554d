"""The system registers that a QEMU shows its debugger, and what each of them holds under KVM.

QEMU shows what it has in its own ``env``. What ``KVM_GET_REG_LIST`` names is copied there from KVM
(``write_kvmstate_to_list``, ``write_list_to_cpustate``), unless it is a constant in QEMU; what KVM
does not have stays as QEMU resets it. ``qemu_registers.json`` has their names, in the order of
QEMU's hash table, and the constants: ``python -m tests.recorded.qemu_registers`` makes it of what
both QEMUs told under real kernels.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.kvm.registers import id_of, reg_id, sys_reg
from vcpu_scenario.machine.errors import KvmError
from vcpu_scenario.machine.interface import Machine

FOLDER: Final = Path(__file__).parent

_UNNAMED: Final = {
    # No scenario names these three, which QEMU reads of KVM as any ID register.
    "ID_DFR1": sys_reg(*sysregs.ID_DFR1_EL1),
    "ID_MMFR5": sys_reg(*sysregs.ID_MMFR5_EL1),
    "ID_AA64SMFR0_EL1": sys_reg(*sysregs.ID_AA64SMFR0_EL1),
    # QEMU goes by the encoding, and ids of the virtual counter and of what it is compared with are
    # swapped in the uAPI.
    "CNTV_CVAL_EL0": sys_reg(*sysregs.CNTV_CVAL_EL0),
}
_BITS: Final = {
    "CSSELR": 0xF,
    "VBAR": ~0x1F,
    "FPSR": 0xF800_009F,
    "FPCR": 0x07F7_0000,
    **{f"PMEVCNTR{n}_EL0": 0xFFFF_FFFF for n in range(len(sysregs.PMEVCNTR_EL0))},
}
"""What ``env`` takes of a value that is KVM's, where it does not take all of it (``csselr_write``,
``vbar_write``, ``vfp_set_fpsr``, ``vfp_set_fpcr``, ``pmevcntr_rawwrite``)."""

_PMCR: Final = id_of("pmcr_el0")
_ENABLE: Final = id_of("pmcntenset_el0"), id_of("pmcntenclr_el0")
_INTERRUPT: Final = id_of("pmintenset_el1"), id_of("pmintenclr_el1")
_ENABLED: Final = ("PMCNTENSET_EL0", "PMCNTENCLR_EL0")


class Shown(NamedTuple):
    """``kvm`` is the id of the register that QEMU has it from, None where it is QEMU's own;
    ``own`` what it holds where KVM has none, None where that is not known."""

    name: str
    kvm: int | None
    own: int | None


@cache
def shown(build: str) -> tuple[Shown, ...]:
    """Those of a build of QEMU, by its name in ``qemu_registers.json``."""
    table = json.loads((FOLDER / "qemu_registers.json").read_text(encoding="utf-8"))[build]
    constant, without = table["constant"], table["without_kvm"]
    return tuple(
        Shown(name, None, constant[name])
        if name in constant
        else Shown(name, kvm_id(name), without.get(name))
        for name in table["names"]
    )


def kvm_id(name: str) -> int | None:
    """The id for KVM of a register by QEMU's name of it: what it has in both states is called as
    in AArch32."""
    return _UNNAMED.get(name) or reg_id(name.lower()) or reg_id(f"{name.lower()}_el1")


def value_of(machine: Machine, register: Shown) -> int | None:
    """What QEMU's copy of it holds as KVM's state is read now, None where that is not known: of a
    PMU where the vCPU has none, which is a QEMU with other registers."""
    of_pmu = register.name.startswith("PM")
    try:
        counters = _counters(machine) if of_pmu else 0
        if register.kvm is None:
            return register.own
        value = machine.get_one_reg(register.kvm)
    except KvmError:
        return None if of_pmu else register.own
    return value & (~counters if register.name in _ENABLED else _BITS.get(register.name, value))


def _counters(machine: Machine) -> int:
    """``pmu_counter_mask``: PMCNTENCLR_EL0, which is copied last, clears these bits of the copy
    that it shares with PMCNTENSET_EL0 (``pmcntenclr_write``)."""
    return 1 << 31 | (1 << (machine.get_one_reg(_PMCR) >> 11 & 0x1F)) - 1


def put_counters(machine: Machine) -> None:
    """``write_list_to_kvmstate``: all is written back in the order of the ids, and where it was not
    changed only these can change anything, since the second one of a pair is the first one's bits.
    A vCPU without a PMU has none."""
    try:
        interrupts, enabled = (machine.get_one_reg(first) for first, _ in (_INTERRUPT, _ENABLE))
        copied = enabled & ~_counters(machine)
    except KvmError:
        return
    for ids, values in ((_INTERRUPT, (interrupts, interrupts)), (_ENABLE, (copied, enabled))):
        for each, value in zip(ids, values, strict=True):
            machine.set_one_reg(each, value)
