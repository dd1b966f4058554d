"""Which statements of assembly source an assembler is given, and in which form.

The directives that it may be given are listed; all others are refused, those that open files among
them. What is listed has one reading only: strings have no character left that ends a statement or
begins a comment, character constants are numbers, and nothing that is not plain text is let
through. So no difference between this reading and an assembler's own can make a directive of
something that was none here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from vcpu_scenario.assembly.text import Refused, Statement

_INCLUDED: Final = "an included file is no part of the source that its words are kept for; "
_NO_MACRO: Final = "macros are written out before the assembler runs"
WHY: Final = {
    ".include": _INCLUDED + "paste it or use a flat binary",
    ".incbin": _INCLUDED + "load it as data of a memory slot",
    ".altmacro": _NO_MACRO,
    ".noaltmacro": _NO_MACRO,
    ".exitm": _NO_MACRO,
    ".purgem": _NO_MACRO,
    ".endm": "no macro is open",
}

_DATA: Final = (
    ".byte .1byte .2byte .hword .short .half .4byte .word .long .int .8byte .xword .dword .quad"
    " .octa .sleb128 .uleb128 .float .single .double .float16 .bfloat16 .inst .nop .nops .ltorg"
    " .pool .dc .dc.a .dc.b .dc.d .dc.l .dc.s .dc.w .dcb .dcb.b .dcb.d .dcb.l .dcb.s .dcb.w"
    " .ds .ds.b .ds.d .ds.l .ds.s .ds.w"
)
_TEXT: Final = ".ascii .asciz .string .string8 .string16 .string32 .string64"
_ROOM: Final = (
    ".space .skip .zero .fill .org .align .balign .balignw .balignl .p2align .p2alignw .p2alignl"
    " .even .rept .endr"
)
_CONDITIONS: Final = (
    ".if .ifdef .ifndef .ifnotdef .ifeq .ifne .ifge .ifgt .ifle .iflt .ifb .ifnb .ifc .ifnc .ifeqs"
    " .ifnes .else .elseif .elsec .endif .end"
)
_MESSAGE: Final = ".error .warning .err .abort"
_SYMBOLS: Final = (
    ".equ .set .equiv .eqv .unreq .global .globl .local .weak .hidden .protected .internal .extern"
    " .type .size .comm .lcomm .symver .weakref .variant_pcs .tlsdesccall .reloc"
)
_SECTIONS: Final = (
    ".text .data .bss .section .pushsection .popsection .previous .subsection .struct"
)
_TARGET: Final = ".arch .arch_extension .cpu"
_DIRECTIVES: Final = frozenset(
    " ".join((_DATA, _TEXT, _ROOM, _CONDITIONS, _MESSAGE, _SYMBOLS, _SECTIONS, _TARGET)).split()
)
_SILENT: Final = frozenset(
    (
        *(".file", ".loc", ".loc_mark_labels", ".line", ".ln", ".ident", ".version"),
        *(".addrsig", ".addrsig_sym", ".print"),
    )
)
"""Notes for a debugger or a reader of the object, of which the words know nothing."""

_WITH_STRINGS: Final = frozenset((*_TEXT.split(), ".error", ".warning"))

_STRING: Final = re.compile(
    r'"((?:[^"\\\x00-\x1f\x7f]|\\(?:[btnfrBTNFR"\\]|[0-7]{1,3}|[xX][0-9a-fA-F]{1,2}))*)"'
)
_NAME_STRING: Final = re.compile(r'"([\w.$@%,+ -]*)"', re.ASCII)
_CONSTANT: Final = re.compile(r"'(?:\\([btnfr'\"\\0])|([^\\\x00-\x1f\x7f-\U0010ffff]))'?")
_ESCAPES: Final = dict(zip("btnfr0", (8, 9, 10, 12, 13, 0), strict=True))
_UNSAFE: Final = re.compile(r"[;/*#'`@]")
_QUOTE: Final = re.compile("[\"']")
_PLAIN: Final = re.compile(r"[\w \t.$,:#+\-*/%&|^~!<>=()\[\]{}@]*", re.ASCII)
_RELOCATION: Final = re.compile(r":\w+:", re.ASCII)


def silent(name: str) -> bool:
    """Whether the directive ``name`` makes nothing that is kept."""
    return name in _SILENT or name.startswith(".cfi_")


def checked(statement: Statement) -> Statement:
    """``statement`` in the form that is safe to be assembled; raises :class:`Refused`."""
    return _kept(statement) if len(statement.code) <= _LONGEST_KEPT else _checked(statement)


def _checked(statement: Statement) -> Statement:
    name, body = statement.name, statement.body
    if name.startswith(".") and name not in _DIRECTIVES and not _is_assignment(statement):
        why = WHY.get(name)
        message = f"`{name}` is not supported" + (f": {why}" if why else "")
        raise Refused(_from(statement, body), message)
    return statement._replace(code=_Text(statement, name).plain())


_LONGEST_KEPT: Final = 200
# The codes that a matrix makes of one, and that an author makes letter by letter, differ in little.
_kept = lru_cache(maxsize=1 << 12)(_checked)


def _is_assignment(statement: Statement) -> bool:
    return re.match(r"[\w.$]+\s*=", statement.mask[statement.body :], re.ASCII) is not None


def _from(statement: Statement, at: int) -> Statement:
    return statement._replace(
        start=statement.start + at, code=statement.code[at:], mask=statement.mask[at:]
    )


class _Text:
    """The text of a statement, scanned once."""

    def __init__(self, statement: Statement, name: str) -> None:
        self._statement = statement
        self._name = name

    def plain(self) -> str:
        code = self._statement.code
        parts: list[str] = []
        at = 0
        while at < len(code):
            if code[at] == '"':
                end, text = self._string(at)
            elif code[at] == "'":
                end, text = self._constant(at)
            else:
                end, text = self._run(at)
            parts.append(text)
            at = end
        whole = "".join(parts)
        if "//" in whole or "/*" in whole:
            raise self._refused(0, "a comment stands where it has two readings")
        return whole

    def _string(self, at: int) -> tuple[int, str]:
        code = self._statement.code
        if self._name in _WITH_STRINGS:
            found = _STRING.match(code, at)
            if found is None:
                raise self._refused(at, "the string does not end, or has an unknown escape")
            text = _UNSAFE.sub(lambda char: f"\\{ord(char[0]):03o}", found[1])
            return found.end(), f'"{text}"'
        found = _NAME_STRING.match(code, at)
        if found is None:
            raise self._refused(at, "a name in quotes has letters, digits, `_`, `.` and `$` only")
        return found.end(), found[0]

    def _constant(self, at: int) -> tuple[int, str]:
        found = _CONSTANT.match(self._statement.code, at)
        if found is None:
            raise self._refused(at, "the character constant cannot be read")
        char = found[2] or found[1]
        value = _ESCAPES.get(char, ord(char)) if found[1] else ord(char)
        return found.end(), str(value).ljust(found.end() - at)

    def _run(self, at: int) -> tuple[int, str]:
        code = self._statement.code
        quote = _QUOTE.search(code, at)
        end = quote.start() if quote else len(code)
        found = _PLAIN.match(code, at, end)
        assert found is not None
        if found.end() < end:
            char = code[found.end()]
            raise self._refused(found.end(), f"{_shown(char)} cannot stand here")
        text = found.group()
        first = max(0, self._statement.body - at)
        rest = text[first:]
        if ":" in rest:
            rest = _RELOCATION.sub(lambda word: "_" * len(word[0]), rest)
        if (colon := rest.find(":")) >= 0:
            raise self._refused(at + first + colon, "`:` cannot stand here")
        return end, text

    def _refused(self, at: int, message: str) -> Refused:
        return Refused(_from(self._statement, at), message)


def _shown(char: str) -> str:
    return f"`{char}`" if char.isprintable() else f"the character U+{ord(char):04X}"
