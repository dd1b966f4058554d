"""The own placing against GNU ld, over addresses near and far."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from vcpu_scenario.assembly.assemble import AssemblerError, assemble_with
from vcpu_scenario.assembly.assemblers import Assembler
from vcpu_scenario.assembly.relocation import RelocationError, relocate

# The target is not known to the assembler, so nothing is settled before the relocations are.
SOURCE = """\
adrp x0, target
add x0, x0, :lo12:target
ldrb w1, [x0, :lo12:target]
ldrh w1, [x0, :lo12:target]
ldr w1, [x0, :lo12:target]
ldr x1, [x0, :lo12:target]
ldr q1, [x0, :lo12:target]
movz x0, #:abs_g3:target
movk x0, #:abs_g2_nc:target
movk x0, #:abs_g1_nc:target
movk x0, #:abs_g0_nc:target
.quad target, target - .
"""
NEAR = """\
adr x0, target
ldr x1, target
b target
bl target
b.ne target
cbz x0, target
tbz x0, #40, target
.long target, target - .
"""


GNU = pytest.mark.skipif(
    not all(shutil.which(f"aarch64-linux-gnu-{name}") for name in ("as", "ld", "objcopy")),
    reason="GNU binutils for AArch64 are not installed: nothing was compared with them",
)


@GNU
@pytest.mark.parametrize(
    ("base", "target"),
    [
        (0x4000_0000, 0x4000_0FF0),
        (0x4000_0000, 0x3FFF_9AB0),
        (0x4000_0000, 0x4000_1000),
        (0x8000_F000, 0x8001_6FF0),
        (0x4000_0000, 0x1_2345_6780),
        (0x1_0000_0000, 0xFFFF_0000),
    ],
)
def test_the_words_are_those_of_gnu_ld(base: int, target: int, tmp_path: Path) -> None:
    source = SOURCE + (NEAR if abs(target - base) < 0x8000 else "")
    (tmp_path / "a.s").write_text(source)
    linked = [f"-Ttext={base:#x}", f"--defsym=target={target:#x}", "-e", f"{base:#x}"]
    for command in (
        ["as", "-march=all", "-o", "a.o", "a.s"],
        ["ld", *linked, "-o", "a.elf", "a.o"],
        ["objcopy", "-O", "binary", "-j", ".text", "a.elf", "a.bin"],
    ):
        tool = f"aarch64-linux-gnu-{command[0]}"
        subprocess.run([tool, *command[1:]], cwd=tmp_path, check=True)
    expected = (tmp_path / "a.bin").read_bytes()
    elf = ELFFile(io.BytesIO((tmp_path / "a.o").read_bytes()))
    text, relocations = map(elf.get_section_by_name, (".text", ".rela.text"))
    assert text is not None
    assert isinstance(relocations, RelocationSection)
    image = bytearray(text.data())
    for entry in relocations.iter_relocations():
        offset = entry["r_offset"]
        relocate(image, offset, base + offset, entry["r_info_type"], target + entry["r_addend"])
    assert image.hex() == expected.hex()


@pytest.mark.parametrize(
    "source",
    [
        "nop\nnop\nnop\nb.eq target\n.space 0x100000\ntarget: nop\n",
        "nop\nnop\nnop\ntbz x0, #1, target\n.space 0x8000\ntarget: nop\n",
        "nop\nnop\nnop\nadr x0, target\n.space 0x100000\ntarget: nop\n",
        "nop\nnop\nnop\nldr x0, [x1, :lo12:target]\ntarget: nop; nop\nnop\n",
        "nop\nnop\ntarget: nop\nmovz x0, #:abs_g1:target\n",
        "nop\nnop\ntarget: nop\n.long target\n",
        "target: nop\nnop\nnop\n.short target\n",
    ],
)
def test_what_does_not_fit_is_refused_where_it_is_written(
    assembler: Assembler, source: str
) -> None:
    with pytest.raises(AssemblerError) as raised:
        assemble_with(assembler, f".global target;{source}", 0x1_0000_0004)
    assert {problem.line for problem in raised.value.problems} == {4}


@pytest.mark.parametrize("target", ["UART", "0x09000000", "#0x1000"])
def test_a_constant_is_no_page_of_the_code(assembler: Assembler, target: str) -> None:
    source = f"nop\n adrp x0, {target}\n.equ UART, 0x09000000\n"
    with pytest.raises(AssemblerError, match=r"2:1[0-2]: the target of `adrp` is a constant"):
        assemble_with(assembler, source, 0x4000_0000)


def test_a_page_out_of_reach_is_refused() -> None:
    with pytest.raises(RelocationError, match="out of the reach"):
        relocate(bytearray(4), 0, 0, 275, 1 << 40)


def test_a_relocation_of_a_linker_is_refused(assembler: Assembler) -> None:
    with pytest.raises(AssemblerError, match="4:1: relocation 311 needs a linker"):
        assemble_with(assembler, "nop\nx: nop\n.global x\nadrp x0, :got:x\n", 0)


def test_a_place_outside_is_refused() -> None:
    with pytest.raises(RelocationError, match="beyond the end"):
        relocate(bytearray(6), 4, 4, 257, 0)
