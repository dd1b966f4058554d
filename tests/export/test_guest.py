"""The guest in a C file has the bytes of the scenario's guest, at the same labels."""

from __future__ import annotations

import re
import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from vcpu_scenario.export.c import program
from vcpu_scenario.export.guest import code_of
from vcpu_scenario.export.subject import Subject

from .conftest import ROOT, SHIPPED, only, shipped

ASSEMBLER = "aarch64-linux-gnu-as"
_LINE = re.compile(r'^"(.*)\\n"$')


def assembled(text: str, folder: Path) -> tuple[bytes, dict[str, int]]:
    """What GNU as makes of the ``asm`` of a C file, for the CPU that compilers ask it for: the
    bytes between the two marks, and the offsets of labels."""
    if shutil.which(ASSEMBLER) is None:
        pytest.skip(f"{ASSEMBLER} is not installed")
    block = text[text.index("\nasm(\n") : text.index("\n);\n")]
    lines = [found[1] for line in block.splitlines() if (found := _LINE.match(line))]
    source = "\n".join(line.replace('\\"', '"').replace("\\\\", "\\") for line in lines)
    object_, out = folder / "guest.o", folder / "guest"
    command = [ASSEMBLER, "-march=armv8-a", "-o", str(object_), "-"]
    subprocess.run(command, input=f"{source}\n", text=True, check=True)
    # Not where the guest has its code: there it is linked to wherever the program has room.
    linker = [ASSEMBLER[:-2] + "ld", "-e", "0", "-Ttext=0x7654000", "-o", str(out), str(object_)]
    subprocess.run(linker, check=True)
    elf = ELFFile(BytesIO(out.read_bytes()))
    table, section = elf.get_section_by_name(".symtab"), elf.get_section_by_name(".text")
    assert isinstance(table, SymbolTableSection)
    assert section is not None
    symbols = {
        symbol.name: symbol["st_value"]
        for symbol in table.iter_symbols()
        if not symbol.name.startswith("$")
    }
    start, end = (symbols[name] - section["sh_addr"] for name in ("guest_code", "guest_end"))
    return section.data()[start:end], symbols


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem.split(".")[0])
def test_a_shipped_guest_is_the_same_in_c(path: Path, tmp_path: Path) -> None:
    for subject in shipped(path):
        code = code_of(subject)
        for words in (False, True):
            data, _ = assembled(program(subject, words=words), tmp_path)
            assert data == code.data, subject.name


def test_most_shipped_guests_keep_their_text() -> None:
    every = [subject for path in SHIPPED for subject in shipped(path)]
    kept = [each for each in every if "\nat_" not in program(each) and 'asm("' in program(each)]
    assert len(kept) > 0.8 * len(every)


def guest(code: str, folder: Path) -> Subject:
    body = "\n".join(f"    {line}" for line in code.split("\n"))
    return only(
        f"title: a guest\nguest:\n  at: 0x40000000\n  code: |\n{body}\n"
        "expect: [{exits: [debug: {brk: done}]}]\n"
        "debug: {software_breakpoints: true}\n",
        folder,
    )


@pytest.mark.parametrize(
    "code",
    [
        "start: ldr x0, =there\nthere: nop\ndone: brk #1",
        "start: nop\ndone: brk #1\ntable: .quad done",
        "start: movz x0, #:abs_g1:done\ndone: brk #1",
        ".text\nstart: nop\ndone: brk #1",
        ".globl start\nstart: nop\ndone: brk #1",
        "open: nop\ndone: brk #1",
        "set_up: nop\ndone: brk #1",
        "start: nop\ndone: brk #1\n.end\nnothing of this",
        "start: mrs x0, s3_0_c0_c4_0; mrs x1, id_aa64isar2_el1\ndone: brk #1",
        "start: ldr x0, =0x30c5_0830\ndone: brk #1",
    ],
)
def test_text_that_means_something_else_in_c_becomes_words(code: str, tmp_path: Path) -> None:
    subject = guest(code, tmp_path)
    text = program(subject)
    assert "at_done:" in text
    data, symbols = assembled(text, tmp_path)
    assert data == code_of(subject).data
    done = subject.combination.symbols["done"] - 0x40000000
    assert symbols["at_done"] - symbols["guest_code"] == done


@pytest.mark.parametrize(
    "code",
    [
        'start: nop // "quoted" \\ and *\n.ascii "a\\"b\\\\"\n.balign 4\ndone: brk #1',
        "start: ldr x0, =0x123456789abcdef\nldr w1, =0x1234\ndone: brk #1",
        "start: adr x0, done; nop\ndone: brk #1",
        "start: adrp x0, done\nadd x0, x0, :lo12:done\ndone: brk #1",
        ".macro twice r\nadd \\r, \\r, #1\nadd \\r, \\r, #1\n.endm\nstart: twice x1\ndone: brk #1",
        "start: ldadd w1, w2, [x0]\ndone: brk #1",
        "start: b 1f\n1: nop\ndone: brk #1\n.balign 64\nvec: nop",
    ],
)
def test_text_keeps_its_form_where_it_gives_the_same(code: str, tmp_path: Path) -> None:
    subject = guest(code, tmp_path)
    text = program(subject)
    assert '"done: brk #1\\n"' in text
    assert assembled(text, tmp_path)[0] == code_of(subject).data


def test_an_instruction_beyond_armv8_0_is_a_word_with_its_text(tmp_path: Path) -> None:
    text = program(guest("start: ldadd w1, w2, [x0]\ndone: brk #1", tmp_path))
    assert '"start: .inst 0xb8210002  // ldadd w1, w2, [x0]\\n"' in text


def test_words_have_the_labels_and_the_text_beside_them(tmp_path: Path) -> None:
    text = program(guest("start: nop\ndone: brk #1", tmp_path), words=True)
    assert '"at_done:\\n"\n"\t.inst\t0xd4200020\t// done: brk #1\\n"' in text


def test_a_guest_of_words_has_its_symbols_as_labels(tmp_path: Path) -> None:
    subject = only(
        "title: words\nguest: {at: 0x40000000, words: [0xd503201f, 0xd4200020],"
        " symbols: {trap: 0x40000004}}\ndebug: {software_breakpoints: true}\n"
        "expect: [{exits: [debug: {brk: trap}]}]\n",
        tmp_path,
    )
    text = program(subject)
    assert "expect(is_brk(PC(trap)));" in text
    assert assembled(text, tmp_path)[0] == code_of(subject).data


def test_the_scenarios_are_there() -> None:
    assert len(SHIPPED) > 90
    assert SHIPPED[0].is_relative_to(ROOT)
