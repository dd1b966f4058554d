"""Whether a guest's assembly gives the same bytes within a C file, wherever that is linked to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from typing import Final

from vcpu_scenario.assembly.assembled import Assembled
from vcpu_scenario.assembly.text import NAME, Statement, blank_comments, statements_of
from vcpu_scenario.export.text import plain, words_of
from vcpu_scenario.kvm.registers import SYSTEM_REGISTERS

_PAGE: Final = 4096
_DIRECTIVES: Final = words_of(
    """
    .inst .word .long .int .4byte .quad .xword .8byte .dword .short .hword .2byte .byte .1byte
    .ascii .asciz .string .zero .space .skip .balign .align .p2align .ltorg .pool .rept .endr
    .equ .set .arch_extension .macro .endm .irp .irpc .if .ifdef .ifndef .else .elseif .endif
    """
)
"""Directives that mean the same within a C file, and change nothing for what stands behind."""

_DATA: Final = words_of(
    """
    .inst .word .long .int .4byte .quad .xword .8byte .dword .short .hword .2byte .byte .1byte
    """
)
_MACRO: Final = re.compile(r"\.macro\s+([\w$.]+)", re.IGNORECASE)
_ABSOLUTE: Final = re.compile(r":\s*(?:abs|prel|got|tprel|dtprel)", re.IGNORECASE)
_GROUPED: Final = re.compile(r"\b\d\w*_")
"""A number whose digits are grouped, as those of parameters may be, which GNU as does not read."""
_ALIGNMENT: Final = re.compile(r"(\.balign|\.align|\.p2align)\s+(\w+)")

_BASE: Final = words_of(
    """
    adc adcs add adds adr adrp and ands asr asrv at b b.al b.cc b.cs b.eq b.ge b.gt b.hi b.hs
    b.le b.lo b.ls b.lt b.mi b.ne b.pl b.vc b.vs bfi bfm bfxil bic bics bl blr br brk cbnz cbz
    ccmn ccmp cinc cinv clrex cls clz cmn cmp cneg csel cset csetm csinc csinv csneg dc dmb drps
    dsb eon eor eret extr hint hlt hvc ic isb ldar ldarb ldarh ldaxp ldaxr ldaxrb ldaxrh ldnp
    ldp ldpsw ldr ldrb ldrh ldrsb ldrsh ldrsw ldtr ldtrb ldtrh ldtrsb ldtrsh ldtrsw ldur ldurb
    ldurh ldursb ldursh ldursw ldxp ldxr ldxrb ldxrh lsl lslv lsr lsrv madd mneg mov movk movn
    movz mrs msr msub mul mvn neg negs ngc ngcs nop orn orr prfm prfum rbit ret rev rev16 rev32
    ror rorv sbc sbcs sbfiz sbfm sbfx sdiv sev sevl smaddl smc smnegl smsubl smulh smull stlr
    stlrb stlrh stlxp stlxr stlxrb stlxrh stnp stp str strb strh sttr sttrb sttrh stur sturb
    sturh stxp stxr stxrb stxrh sub subs svc sxtb sxth sxtw sys sysl tbnz tbz tlbi tst ubfiz
    ubfm ubfx udiv umaddl umnegl umsubl umulh umull uxtb uxth wfe wfi yield
    """
)
"""What every assembler for AArch64 takes without being asked for an extension."""

_NEWER: Final = words_of(
    """
    id_pfr2_el1 id_isar6_el1 id_aa64pfr2_el1 id_aa64zfr0_el1 id_aa64fpfr0_el1 id_aa64isar2_el1
    id_aa64isar3_el1 id_aa64mmfr3_el1 id_aa64mmfr4_el1 tcr2_el1 pir_el1 pire0_el1 disr_el1
    """
)
"""System registers that an assembler knows by name only if it is new, or told of the extension."""
_STATE: Final = words_of(
    """
    daif daifset daifclr nzcv spsel currentel sp_el0 sp_el1 elr_el1 spsr_el1 fpcr fpsr
    """
)
_CACHE: Final = words_of(
    """
    civac cvac ivac zva cvau isw csw cisw ialluis iallu ivau s1e1r s1e1w s1e0r s1e0w
    """
)


def in_base(source: str, assembled: Assembled, base: int) -> str | None:
    """``source`` with each instruction that is no part of Armv8.0 as its word; None where the text
    of one cannot be told from that of others."""
    macros = {found[1].lower() for found in _MACRO.finditer(source)}
    every = [each for each in statements_of(source) if each.name not in macros]
    odd = [each for each in every if not _is_base(each)]
    if not odd:
        return source
    statements = Counter(each.line for each in statements_of(source))
    words = Counter(assembled.lines.values())
    by_line = {line: addr for addr, line in assembled.lines.items()}
    lines = source.split("\n")
    for each in odd:
        if statements[each.line] != 1 or words[each.line] != 1:
            return None
        at = by_line[each.line] - base
        word = int.from_bytes(assembled.code[at : at + 4], "little")
        head, text = each.code[: each.body], plain(each.code[each.body :]).strip()
        lines[each.line - 1] = f"{head}.inst 0x{word:08x}  // {text}"
    return "\n".join(lines)


def _is_base(statement: Statement) -> bool:
    name = statement.name
    if not name or name.startswith("."):
        return True
    operands = NAME.findall(statement.mask[statement.body :].lower())[1:]
    if name in ("mrs", "msr"):
        return any(map(_is_known_register, operands))
    if name in ("dc", "ic", "at"):
        return bool(operands) and operands[0] in _CACHE
    return name in _BASE or "=" in statement.mask


def _is_known_register(name: str) -> bool:
    known = name in SYSTEM_REGISTERS and name not in _NEWER
    return known or name in _STATE or re.match(r"s[23]_", name) is not None


def fits(source: str, assembled: Assembled, base: int, taken: Collection[str]) -> bool:
    """Whether the text gives the same bytes in a C file, wherever that is linked to."""
    names = set(assembled.symbols)
    if not names.isdisjoint(taken) or any(not name.isascii() for name in names):
        return False
    if "=" in "".join(mask for _, mask in blank_comments(source)) and base % 8:
        return False
    return all(_means_the_same(statement, names, base) for statement in statements_of(source))


def _means_the_same(statement: Statement, names: set[str], base: int) -> bool:
    name, operands = statement.name, statement.mask[statement.body :]
    if name.startswith(".") and name not in _DIRECTIVES:
        return False
    if _ABSOLUTE.search(operands) or _GROUPED.search(operands):
        return False
    if name == "adrp" or ":lo12:" in operands:
        return base % _PAGE == 0
    if alignment := _ALIGNMENT.match(operands.strip()):
        try:
            power = int(alignment[2], 0)
        except ValueError:
            return False
        wanted = power if alignment[1] == ".balign" else 1 << min(power, 63)
        return wanted <= (4 if base % _PAGE else _PAGE)
    if name in _DATA or "=" in operands:
        # The address of a label would be that in the C program.
        return names.isdisjoint(NAME.findall(operands)) and "." not in NAME.findall(operands)
    return True
