"""Blocks about the system: its registers, calls, exceptions, hints and masks."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.generate.writing import ADDRESS, Writing
from vcpu_scenario.arm64 import sysregs


def system_register(to: Writing) -> None:
    random = to.random
    encoding = random.choice(_REGISTERS)
    read = random.random() < 0.6
    to.emit(w.mrs(to.value(), encoding) if read else w.msr(to.value(), encoding))


_REGISTERS: Final = (
    *(bank[n] for n in (0, 1, 5) for bank in sysregs.DEBUG_BANKS),
    sysregs.MDSCR_EL1,
    sysregs.OSLSR_EL1,
    sysregs.OSDLR_EL1,
    sysregs.OSLAR_EL1,
    sysregs.MAIR_EL1,
    sysregs.AMAIR_EL1,
    sysregs.AFSR0_EL1,
    sysregs.CONTEXTIDR_EL1,
    sysregs.TPIDR_EL1,
    sysregs.TPIDR_EL0,
    sysregs.TTBR0_EL1,
    sysregs.TTBR1_EL1,
    sysregs.TCR_EL1,
    sysregs.FAR_EL1,
    sysregs.ESR_EL1,
    sysregs.PAR_EL1,
    sysregs.ACTLR_EL1,
)

_READ_ONLY: Final = (
    sysregs.MIDR_EL1,
    sysregs.MPIDR_EL1,
    sysregs.ID_AA64PFR0_EL1,
    sysregs.ID_AA64ISAR0_EL1,
    sysregs.ID_AA64MMFR0_EL1,
    sysregs.CTR_EL0,
    sysregs.DCZID_EL0,
    sysregs.CURRENTEL,
    sysregs.ISR_EL1,
)


def identification(to: Writing) -> None:
    to.emit(w.mrs(to.value(), to.random.choice(_READ_ONLY)))


def hypercall(to: Writing) -> None:
    random = to.random
    function = random.choice(_FUNCTIONS)
    to.constant(0, function)
    if function in (_PSCI_FEATURES, _ARCH_FEATURES):
        to.constant(1, random.choice(_FUNCTIONS))
    call = w.hvc if random.random() < 0.75 else w.smc
    to.emit(call(0 if random.random() < 0.9 else random.randrange(1, 16)))


_PSCI_FEATURES: Final = 0x8400_000A
_ARCH_FEATURES: Final = 0x8000_0001
_FUNCTIONS: Final = (
    0x8400_0000,  # PSCI_VERSION
    0xC400_0003,  # CPU_ON
    0xC400_0004,  # AFFINITY_INFO
    0x8400_0006,  # MIGRATE_INFO_TYPE
    _PSCI_FEATURES,
    0x8000_0000,  # SMCCC_VERSION
    _ARCH_FEATURES,
    0x8000_8000,  # SMCCC_ARCH_WORKAROUND_1
    0x8400_0050,  # TRNG_VERSION
    0x8600_FF01,  # the vendor's call UID
    0xC600_0001,
    0x8400_FFFF,
    0,
    1,
)
"""CPU_OFF is left out: nothing brings a lone vCPU back."""


def exception(to: Writing) -> None:
    random = to.random
    to.emit(
        random.choice(
            (
                w.svc(random.randrange(16)),
                w.udf(random.randrange(256)),
                w.brk(random.randrange(256)),
                w.brk(random.randrange(256)),
                w.hlt(random.randrange(16)),
                w.mrs(to.value(), sysregs.HCR_EL2),  # HCR_EL2: UNDEFINED at EL1
            )
        )
    )


def hint(to: Writing) -> None:
    to.emit(to.random.choice((w.NOP, w.YIELD, w.ISB, w.DSB, w.SEV, w.CLREX, w.IC_IALLU)))


def wait(to: Writing) -> None:
    to.emit(w.WFI if to.random.random() < 0.3 else w.WFE)


def masks(to: Writing) -> None:
    random = to.random
    bits = random.choice((2, 2, 3, 4, 7, 15))
    to.emit(random.choice((w.daifset(bits), w.daifclr(bits))))


def modify_code(to: Writing) -> None:
    """Write an instruction just ahead and run it."""
    program = to.program
    target = program.fresh()
    written = w.add_immediate(to.value(), to.value(), to.random.randrange(256))
    program.to(target, lambda offset: w.adr(ADDRESS, offset))
    to.constant(4, written)
    to.emit(w.access(w.WORD, w.STORE, 4, ADDRESS, 0), w.system(w.DC_CVAU, ADDRESS))
    to.emit(w.DSB, w.IC_IALLU, w.DSB, w.ISB)
    program.label(target)
    to.emit(w.NOP)


def floating(to: Writing) -> None:
    """SIMD&FP, which traps until CPACR_EL1 allows it."""
    if to.random.random() < 0.5:
        to.constant(ADDRESS, 3 << 20)
        to.emit(w.msr(ADDRESS, sysregs.CPACR_EL1), w.ISB)
    to.emit(0x4E080C00 | to.value() << 5, 0x9E660000 | to.value())  # dup v0.2d, xN; fmov xN, d0
