"""The guest's code in a C file: the scenario's own assembly, or its words under its labels."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from vcpu_scenario.assembly.assembled import Assembled, AssemblerError, NoAssembler
from vcpu_scenario.assembly.cache import assemble_for
from vcpu_scenario.case import Case, Load
from vcpu_scenario.export import source
from vcpu_scenario.export.names import Names
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.export.subject import Subject
from vcpu_scenario.export.text import plain, string
from vcpu_scenario.language.model import Scenario

MOST_CODE: Final = 1 << 18
"""Bytes of a guest; a C file with more is nothing to read."""

_PAGE: Final = 4096


def code_of(subject: Subject) -> Load:
    """The bytes that the guest starts in. Raises :class:`Unexportable`."""
    case = subject.combination.case
    start = dict(case.regs).get("pc", 0)
    for load in case.loads:
        if 0 <= start - load.addr < len(load.data):
            if len(load.data) > MOST_CODE:
                raise Unexportable(f"a guest of {len(load.data):,} bytes: at most {MOST_CODE:,}")
            return load
    raise Unexportable("a guest that starts where no code is loaded")


def block(subject: Subject, names: Names, taken: Collection[str], *, words: bool) -> list[str]:
    """The guest as an ``asm`` at file scope, between ``guest_code`` and ``guest_end``.

    ``taken`` are the names that the rest of the file has for functions and data, which no label
    may be. With ``words`` it is its words in any case, as it is where its text would not give the
    same bytes here.
    """
    code, found = names.code, _own_text(subject.scenario, names.code)
    if found is not None and not words and source.fits(*found, code.addr, taken):
        symbols = {name: f' asm("{label}")' for name, label in names.used_labels.items()}
        text = source.in_base(*found, code.addr)
        if text is not None:
            return [*_asm(_text_lines(text), code), *_declared(symbols)]
    places = {names.label(label): addr for label, addr in names.labels.items()}
    return [*_asm(_word_lines(code, places, found), code), *_declared(dict.fromkeys(places, ""))]


def _declared(symbols: Mapping[str, str]) -> list[str]:
    # Position-independent code would look for them in a global offset table, which has no entries
    # for labels of this kind.
    return [
        "/* They are in this file, not behind a global offset table */",
        "#pragma GCC visibility push(hidden)",
        "extern const uint8_t guest_code[], guest_end[];",
        *(f"extern const uint8_t at_{name}[]{symbol};" for name, symbol in symbols.items()),
        "#pragma GCC visibility pop",
    ]


def _asm(lines: Iterator[str], code: Load) -> list[str]:
    alignment = _PAGE if code.addr % _PAGE == 0 else 4
    return [
        "asm(",
        *(
            f'{string(line)[:-1]}\\n"'
            for line in (
                '\t.pushsection .text.guest, "ax"',
                f"\t.balign\t{alignment}",
                "guest_code:",
                *lines,
                "guest_end:",
                "\t.popsection",
            )
        ),
        ");",
        "",
    ]


def _text_lines(text: str) -> Iterator[str]:
    yield from (plain(line).rstrip() for line in text.rstrip().split("\n"))
    if re.search(r"=\s*[^=\s]", text):
        yield "\t.ltorg"


def text_of(scenario: Scenario, case: Case) -> str:
    """The guest's code as a person reads it: its assembly, or a word on each line."""
    code = case.loads[0]
    if (found := _own_text(scenario, code)) is not None:
        return found[0]
    words = (code.data[at : at + 4] for at in range(0, len(code.data), 4))
    return "\n".join(f".inst 0x{int.from_bytes(word, 'little'):08x}" for word in words)


def _own_text(scenario: Scenario, code: Load) -> tuple[str, Assembled] | None:
    """The assembly that gave ``code``; None for a guest of another form."""
    for text, base in scenario.sources:
        if base != code.addr:
            continue
        try:
            assembled = assemble_for(scenario.path, text, base)
        except (AssemblerError, NoAssembler):
            continue
        if assembled.code == code.data:
            return text, assembled
    return None


def _word_lines(
    code: Load, labels: Mapping[str, int], found: tuple[str, Assembled] | None
) -> Iterator[str]:
    """A row for each word, with the text that it comes from where there is one."""
    places: dict[int, list[str]] = {}
    for name, addr in labels.items():
        places.setdefault(addr - code.addr, []).append(name)
    texts = _texts(found, code.addr)
    at, data = 0, code.data
    while at < len(data):
        yield from (f"at_{name}:" for name in places.get(at, ()))
        zeros = _zeros(data, at, places)
        if zeros > 8:
            yield f"\t.zero\t{zeros:#x}"
            at += zeros
            continue
        inner = [place for place in places if at < place < at + 4]
        width = min(4, len(data) - at, *(place - at for place in inner))
        if width == 4:
            text = texts.get(at, "")
            word = int.from_bytes(data[at : at + 4], "little")
            yield f"\t.inst\t0x{word:08x}{f'{chr(9)}// {text}' if text else ''}"
        else:
            yield f"\t.byte\t{', '.join(hex(byte) for byte in data[at : at + width])}"
        at += width
    yield from (f"at_{name}:" for place, names in places.items() for name in names if place >= at)


def _zeros(data: bytes, at: int, places: Collection[int]) -> int:
    """How many bytes from ``at`` on are zero, up to the next label, a multiple of 4."""
    end = min([len(data), *(place for place in places if place > at)])
    zeros = len(data[at:end]) - len(data[at:end].lstrip(b"\0"))
    return zeros - zeros % 4


def _texts(found: tuple[str, Assembled] | None, base: int) -> Mapping[int, str]:
    if found is None:
        return {}
    text, assembled = found
    lines = text.split("\n")
    return {
        addr - base: plain(" ".join(lines[number - 1].split()))
        for addr, number in assembled.lines.items()
        if 0 < number <= len(lines)
    }
