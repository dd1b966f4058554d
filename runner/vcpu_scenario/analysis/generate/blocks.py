"""What generated programs are made of: short runs of instructions, each about one thing.

Registers by use: x0 to x4 hold values, x9 a status, x10 points to the device, x11 to the
distributor, x12 to the second memory slot or into the void, x13 to data, x14 is for addresses of
the moment, x15 counts loops. The vectors use x5 to x8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.generate.program import Program
from vcpu_scenario.analysis.generate.surroundings import NOWHERE, Surroundings
from vcpu_scenario.arm64 import sysregs

DEVICE, DISTRIBUTOR_BASE, ELSEWHERE, DATA, ADDRESS, COUNTER = 10, 11, 12, 13, 14, 15
DATA_SIZE: Final = 0x40
RETURN_FROM_EL0: Final = 0xE1
"""The SVC by which code at EL0 asks for EL1."""


@dataclass(frozen=True, slots=True)
class Writing:
    """A program that is being written, and what it may draw on."""

    random: Random
    program: Program
    around: Surroundings

    def value(self) -> int:
        """A register that holds values."""
        return self.random.randrange(5)

    def loaded(self) -> int:
        """A register to load to: one that holds values, seldom XZR."""
        return 31 if self.random.random() < 0.05 else self.value()

    def emit(self, *words: int) -> None:
        self.program.emit(*words)

    def constant(self, rd: int, value: int) -> None:
        self.emit(*w.mov(rd, value))


Block = Callable[[Writing], None]


def _arithmetic(to: Writing) -> None:
    random = to.random
    for _ in range(random.randrange(1, 4)):
        rd, rn, rm, sf = to.value(), to.value(), to.value(), random.randrange(2)
        to.emit(
            random.choice(
                (
                    w.operation(random.choice(list(w.REGISTER_OPERATIONS)), rd, rn, rm, sf),
                    w.add_immediate(rd, rn, random.randrange(4096), sf),
                    w.subtract_immediate(rd, rn, random.randrange(4096), flags=True, sf=sf),
                    w.csel(rd, rn, rm, random.randrange(15), sf),
                    w.movz(rd, random.getrandbits(16), random.choice((0, 16)), sf),
                    w.crc32x(rd, rn, rm),
                )
            )
        )


def _base(to: Writing) -> tuple[int, int]:
    """A register that points somewhere, and how far beyond it an access may lie."""
    return to.random.choice(
        (
            (DEVICE, 0x240),
            (DEVICE, 0x240),
            (DEVICE, 0x240),
            (DATA, DATA_SIZE),
            (DATA, DATA_SIZE),
            (DISTRIBUTOR_BASE, 0x200),
            (ELSEWHERE, 0x80),
        )
    )


_SIGNED: Final = {w.BYTE: (2, 3), w.HALF: (2, 3), w.WORD: (2,), w.DOUBLE: ()}


def _kind(random: Random, size: int) -> int:
    return random.choice((w.STORE, w.LOAD, *_SIGNED[size]))


def _access(to: Writing) -> None:
    random = to.random
    base, reach = _base(to)
    size = random.choices((w.BYTE, w.HALF, w.WORD, w.DOUBLE), (2, 2, 5, 3))[0]
    offset = random.randrange(reach >> size)
    if base == DEVICE and random.random() < 0.3:
        offset = random.choice((0x0, 0x18, 0x100, 0x104, 0x180, 0x200, 0x208)) >> size
    to.emit(w.access(size, _kind(random, size), to.loaded(), base, offset))


def _access_otherwise(to: Writing) -> None:
    """Addressing that is unscaled, unprivileged, by register, ordered, or literal."""
    random = to.random
    base, reach = _base(to)
    size = random.randrange(4)
    rt = to.loaded()
    kind = _kind(random, size)
    form = random.randrange(5)
    if form == 0:
        to.emit(w.access_indexed(size, kind, w.UNSCALED, rt, base, random.randrange(0, 64)))
    elif form == 1:
        to.emit(w.access_indexed(size, kind, w.UNPRIVILEGED, rt, base, random.randrange(0, 64)))
    elif form == 2:
        to.constant(ADDRESS, random.randrange(min(reach, 64) >> size))
        to.emit(w.access_register(size, kind, rt, base, ADDRESS, scaled=True))
    elif form == 3:
        to.emit(w.ordered(size, random.randrange(2), rt, base))
    else:
        opc = random.randrange(3)
        to.program.to("data", lambda offset: w.load_literal(rt, offset, opc))


def _access_without_syndrome(to: Writing) -> None:
    """Forms whose aborts do not say what they were about."""
    random = to.random
    base, _ = _base(to)
    load, rt = random.randrange(2), to.value()
    rt2 = (rt + 1) % 5
    mode = random.choice((w.POST, w.OFFSET, w.PRE))
    size = random.randrange(4)
    moving = mode != w.OFFSET
    if moving:
        to.emit(w.add_immediate(ADDRESS, base, 0))
        base = ADDRESS
    to.emit(
        random.choice(
            (
                w.pair(load, mode, rt, rt2, base, random.randrange(-2, 4)),
                w.pair(load, mode, rt, rt2, base, random.randrange(-2, 4), wide=0),
                w.access_indexed(size, load, mode if moving else w.UNSCALED, rt, base, 8),
                w.vector_access(size, load, rt, base, random.randrange(4)),
                w.structure(load, rt, base),
                w.atomic_add(w.DOUBLE, rt, rt2, base),
                w.prefetch(base, 1),
                w.system(random.choice((w.DC_CIVAC, w.DC_CVAU, w.DC_ZVA)), base),
            )
        )
    )


def _exclusives(to: Writing) -> None:
    base = to.random.choice((DATA, DATA, DEVICE))
    size = to.random.choice((w.WORD, w.DOUBLE))
    to.emit(
        w.exclusive(size, 1, to.value(), base),
        w.exclusive(size, 0, to.value(), base, status=9),
    )


def _system_register(to: Writing) -> None:
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


def _identification(to: Writing) -> None:
    to.emit(w.mrs(to.value(), to.random.choice(_READ_ONLY)))


def _hypercall(to: Writing) -> None:
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


def _exception(to: Writing) -> None:
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


def _hint(to: Writing) -> None:
    to.emit(to.random.choice((w.NOP, w.YIELD, w.ISB, w.DSB, w.SEV, w.CLREX, w.IC_IALLU)))


def _wait(to: Writing) -> None:
    to.emit(w.WFI if to.random.random() < 0.3 else w.WFE)


def _masks(to: Writing) -> None:
    random = to.random
    bits = random.choice((2, 2, 3, 4, 7, 15))
    to.emit(random.choice((w.daifset(bits), w.daifclr(bits))))


def _stack(to: Writing) -> None:
    """The other stack pointer for a while."""
    to.emit(w.spsel(0))
    _arithmetic(to)
    to.emit(w.add_immediate(31, DATA, 16), w.spsel(1))


def _branch(to: Writing) -> None:
    """Over a few instructions, taken or not."""
    random, program = to.random, to.program
    over, rt, bit = program.fresh(), to.value(), random.randrange(64)
    condition, not_zero = random.randrange(15), random.random() < 0.5
    form = random.randrange(5)
    if form == 0:
        program.to(over, w.b)
    elif form == 1:
        program.to(over, lambda offset: w.b_cond(condition, offset))
    elif form == 2:
        program.to(over, lambda offset: w.cbz(rt, offset, not_zero=not_zero))
    elif form == 3:
        program.to(over, lambda offset: w.tbz(rt, bit, offset, not_zero=not_zero))
    else:
        program.to(over, lambda offset: w.adr(ADDRESS, offset))
        to.emit(w.br(ADDRESS))
    for _ in range(random.randrange(1, 4)):
        random.choice((_arithmetic, _access))(to)
    program.label(over)


def _loop(to: Writing) -> None:
    program = to.program
    again = program.fresh()
    to.emit(w.movz(COUNTER, to.random.randrange(1, 5)))
    program.label(again)
    to.random.choice((_arithmetic, _access, _access))(to)
    to.emit(w.subtract_immediate(COUNTER, COUNTER, 1))
    program.to(again, lambda offset: w.cbz(COUNTER, offset, not_zero=True))


def _call(to: Writing) -> None:
    program = to.program
    function, after = program.fresh(), program.fresh()
    program.to(function, lambda offset: w.b(offset, link=True))
    program.to(after, w.b)
    program.label(function)
    _arithmetic(to)
    to.emit(w.RET)
    program.label(after)


def _el0(to: Writing) -> None:
    """To EL0 and back by an SVC that the vectors know."""
    random, program = to.random, to.program
    there = program.fresh()
    program.to(there, lambda offset: w.adr(ADDRESS, offset))
    to.emit(w.msr(ADDRESS, sysregs.ELR_EL1))
    to.constant(ADDRESS, random.choice((0, 0x3C0)))
    to.emit(w.msr(ADDRESS, sysregs.SPSR_EL1), w.ERET)
    program.label(there)
    for _ in range(random.randrange(1, 4)):
        random.choice((_arithmetic, _access, _exception, _hint))(to)
    to.emit(w.svc(RETURN_FROM_EL0))


def _modify_code(to: Writing) -> None:
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


def _big_endian(to: Writing) -> None:
    """Data accesses at EL1 are big-endian for a while."""
    sctlr = sysregs.SCTLR_EL1
    to.emit(w.mrs(ADDRESS, sctlr))
    to.constant(9, 1 << 25)
    to.emit(w.operation("eor", ADDRESS, ADDRESS, 9), w.msr(ADDRESS, sctlr), w.ISB)
    _access(to)
    _access(to)
    to.emit(w.mrs(ADDRESS, sctlr))
    to.constant(9, 1 << 25)
    to.emit(w.operation("bic", ADDRESS, ADDRESS, 9), w.msr(ADDRESS, sctlr), w.ISB)


def _beyond(to: Writing) -> None:
    """An access or a jump to where nothing is, or across the end of the memory."""
    random = to.random
    ram = to.around.ram
    end = ram.base + ram.size
    to.constant(ADDRESS, random.choice((end - 4, end - 1, end, 0x10_0000_0000, 0)))
    if random.random() < 0.2:
        to.emit(w.br(ADDRESS, link=True))
    else:
        size = random.choice((w.WORD, w.DOUBLE))
        to.emit(w.access(size, random.randrange(2), to.value(), ADDRESS, 0))


def _floating(to: Writing) -> None:
    """SIMD&FP, which traps until CPACR_EL1 allows it."""
    if to.random.random() < 0.5:
        to.constant(ADDRESS, 3 << 20)
        to.emit(w.msr(ADDRESS, sysregs.CPACR_EL1), w.ISB)
    to.emit(0x4E080C00 | to.value() << 5, 0x9E660000 | to.value())  # dup v0.2d, xN; fmov xN, d0


def _gic_v3(to: Writing) -> None:
    """The CPU interface, an SGI, masks and priorities."""
    random = to.random
    to.constant(ADDRESS, random.choice((0, 1, 0xF0, 0xFF, 1 << 24, 1 << 24 | 1)))
    to.emit(
        *random.choice(
            (
                (w.msr(ADDRESS, sysregs.ICC_PMR_EL1),),
                (w.msr(ADDRESS, sysregs.ICC_IGRPEN1_EL1),),
                (w.msr(ADDRESS, sysregs.ICC_BPR1_EL1),),
                (w.msr(ADDRESS, sysregs.ICC_SGI1R_EL1),),
                (w.mrs(to.value(), sysregs.ICC_IAR1_EL1),),
                (w.mrs(to.value(), sysregs.ICC_HPPIR1_EL1),),
                (w.mrs(to.value(), sysregs.ICC_SRE_EL1),),
                (w.mrs(to.value(), sysregs.ICC_CTLR_EL1),),
                (w.mrs(4, sysregs.ICC_IAR1_EL1), w.msr(4, sysregs.ICC_EOIR1_EL1)),
            )
        )
    )


def _enable_interrupts(to: Writing) -> None:
    """As much of an interrupt controller's set-up as lets an SPI or SGI through."""
    store, size = w.STORE, w.WORD
    to.constant(4, 3)
    to.emit(w.access(size, store, 4, DISTRIBUTOR_BASE, 0))
    to.constant(4, 0xFFFF_FFFF)
    to.emit(w.access(size, store, 4, DISTRIBUTOR_BASE, 0x104 // 4))
    gic = to.around.gic
    if gic is not None and gic.version == 3:
        to.emit(w.access(size, store, 4, DISTRIBUTOR_BASE, 0x84 // 4))  # GICD_IGROUPR1
        to.constant(4, 0xF0)
        to.emit(w.msr(4, sysregs.ICC_PMR_EL1))
        to.constant(4, 1)
        to.emit(w.msr(4, sysregs.ICC_IGRPEN1_EL1), w.ISB)
    elif gic is not None:
        to.constant(ADDRESS, gic.cpu)
        to.constant(4, 0xF0)
        to.emit(w.access(size, store, 4, ADDRESS, 1))
        to.constant(4, 1)
        to.emit(w.access(size, store, 4, ADDRESS, 0))
        to.constant(4, 0x0101_0101)
        to.emit(w.access(size, store, 4, DISTRIBUTOR_BASE, 0x820 // 4))  # GICD_ITARGETSR8
    to.emit(w.daifclr(2))


def _gic_v2(to: Writing) -> None:
    """The memory-mapped CPU interface."""
    random = to.random
    gic = to.around.gic
    to.constant(ADDRESS, NOWHERE if gic is None else gic.cpu)
    size = random.choices((w.WORD, w.BYTE, w.DOUBLE), (8, 1, 1))[0]
    to.emit(w.access(size, random.randrange(2), to.value(), ADDRESS, random.randrange(8)))


def _gic(to: Writing) -> None:
    gic = to.around.gic
    version = to.random.choice((2, 3)) if gic is None else gic.version
    (_gic_v3 if version == 3 else _gic_v2)(to)


BLOCKS: Final[Mapping[str, tuple[Block, int]]] = {
    "arithmetic": (_arithmetic, 10),
    "access": (_access, 16),
    "access-otherwise": (_access_otherwise, 6),
    "access-without-syndrome": (_access_without_syndrome, 4),
    "exclusives": (_exclusives, 2),
    "system-register": (_system_register, 7),
    "identification": (_identification, 2),
    "hypercall": (_hypercall, 5),
    "exception": (_exception, 7),
    "hint": (_hint, 3),
    "wait": (_wait, 1),
    "masks": (_masks, 2),
    "stack": (_stack, 1),
    "branch": (_branch, 4),
    "loop": (_loop, 3),
    "call": (_call, 2),
    "el0": (_el0, 2),
    "modify-code": (_modify_code, 1),
    "big-endian": (_big_endian, 1),
    "beyond": (_beyond, 2),
    "floating": (_floating, 1),
    "gic": (_gic, 3),
    "enable-interrupts": (_enable_interrupts, 1),
}
"""Every kind of block with its weight."""
