"""What the source means, whichever assembler reads it."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from vcpu_scenario.assembly.assemble import Assembled, AssemblerError, assemble_with
from vcpu_scenario.assembly.assemblers import Assembler

BASE = 0x4000_0000

EVERYTHING = """\
start: mov  x0, #0x09000000   // a comment; with a semicolon
.macro two r
  add \\r, \\r, #1 ; sub \\r, \\r, #1
  nop
.endm
.equ UART, 0x09000000
1: ldr x1, =msg ; ldr x2, =0x1234; ldr w3, =5
  ldr x4, =UART /* spans
  lines; b nowhere
  */
  ldr x5, =0x09000000
  two x5
  .rept 2
  nop
  nop
  .endr
  adrp x0, msg; add x0, x0, :lo12:msg
  .inst 0xd503201f
  b 1b
  ldapur x0, [x1]; pacia x0, x1 ; ldadd x0, x1, [x2]
  cbz x0, 2f
  ldr w6, =msg
.ltorg
  .balign 2048
vectors: b start
  .space 0x20
2: b ext
.global ext
ext: ret
  bl ext
msg: .asciz "hi; // \\" there"
  .balign 4
  .word 0xd503201f
# a comment to its end; foo
  mov w0, #';'
  ldr d0, =0x3ff0000000000000
"""

MORE = {
    "a literal before its constant is known": (
        "ldr x0, =0x1234\nldr w1, =7\nldr x2, =UART\nldr w3, =7\n.equ UART, 0x1234\n"
    ),
    "a literal of a numeric label": "1: ldr x0, =1b\n ldr x1, =1f\n1: nop\n",
    "a literal of an expression": "a: nop\nldr x0, =a+8\nldr w1, =(1 << 20) | 3\nldrsw x2, =-5\n",
    "pools in the middle": "ldr x0, =1\n.ltorg\nnop\nldr x1, =1\n.pool\nldr w2, =2\n",
    "a pool after an odd string": 'ldr x0, =1\n.ascii "abcde"\n',
    "relocated moves": "movz x0, #:abs_g1:l\nmovk x0, #:abs_g0_nc:l\nl: nop\n",
    "every scaled offset": (
        "adrp x0, l\nldrb w1, [x0, :lo12:l]\nldrh w1, [x0, :lo12:l]\nldr w1, [x0, :lo12:l]\n"
        "ldr x1, [x0, :lo12:l]\nldr q1, [x0, :lo12:l]\n.balign 16\nl: nop\n"
    ),
    "global branches": (
        ".global l\nb l\nbl l\ncbz x0, l\ntbz x0, #3, l\nb.ne l\nadr x0, l\nldr x1, l\nl: nop\n"
    ),
    "data that is relative": ".global l\nnop\nl: .quad l - ., l\n.long l - ., l\n",
    "a far page": "adrp x0, far\nadd x0, x0, :lo12:far\n.space 0x12344\nfar: nop\n",
    "an irp": ".irp r, x1, x2, x3\nadd \\r, \\r, #1\n.endr\nnop\n",
    "a condition": ".equ YES, 1\n.if YES\nnop\n.else\nbrk #0\n.endif\nret\n",
    "everything": EVERYTHING,
}


def line_of(source: str, text: str) -> int:
    return next(n for n, line in enumerate(source.split("\n"), start=1) if text in line)


@pytest.fixture
def everything(assembler: Assembler) -> Assembled:
    return assemble_with(assembler, EVERYTHING, BASE)


@pytest.mark.slow
@pytest.mark.skipif(
    not all(shutil.which(f"aarch64-linux-gnu-{name}") for name in ("as", "ld", "objcopy")),
    reason="GNU binutils for AArch64 are not installed: nothing was compared with them",
)
@pytest.mark.parametrize("source", MORE.values(), ids=MORE)
def test_the_bytes_are_those_of_gnu_as_and_gnu_ld(
    assembler: Assembler, source: str, tmp_path: Path
) -> None:
    """Neither the prepared source nor the own placing changes what the toolchain would give."""
    (tmp_path / "a.s").write_text(source)
    for command in (
        ["as", "-march=all", "-o", "a.o", "a.s"],
        ["ld", f"-Ttext={BASE:#x}", "-e", f"{BASE:#x}", "-o", "a.elf", "a.o"],
        ["objcopy", "-O", "binary", "-j", ".text", "a.elf", "a.bin"],
    ):
        tool = f"aarch64-linux-gnu-{command[0]}"
        subprocess.run([tool, *command[1:]], cwd=tmp_path, check=True)
    expected = (tmp_path / "a.bin").read_bytes()
    assert assemble_with(assembler, source, BASE).code.hex() == expected.hex()


def test_symbols_are_labels_and_constants(everything: Assembled) -> None:
    assert everything.symbols == {
        "UART": 0x09000000,
        "start": BASE,
        "vectors": BASE + 0x800,
        "ext": BASE + 0x828,
        "msg": BASE + 0x830,
    }


def test_every_instruction_maps_to_its_line(everything: Assembled) -> None:
    lines = [everything.lines[BASE + 4 * n] for n in range(22)]
    macro, rept = line_of(EVERYTHING, "add \\r"), line_of(EVERYTHING, ".rept")
    after = line_of(EVERYTHING, "adrp")
    assert lines == [
        1,
        *[line_of(EVERYTHING, "1: ldr")] * 3,
        line_of(EVERYTHING, "=UART"),
        line_of(EVERYTHING, "ldr x5"),
        *(macro, macro, macro + 1),
        *(rept + 1, rept + 2, rept + 1, rept + 2),
        *(after, after, after + 1, after + 2, *[after + 3] * 3, after + 4, after + 5),
    ]


def test_data_and_padding_map_to_the_statement_that_made_them(everything: Assembled) -> None:
    place = {line: address - BASE for address, line in reversed(list(everything.lines.items()))}
    assert place[line_of(EVERYTHING, ".balign 2048")] == 0x78
    assert place[line_of(EVERYTHING, "vectors:")] == 0x800
    assert place[line_of(EVERYTHING, ".space")] == 0x804
    assert place[line_of(EVERYTHING, "msg: .asciz")] == 0x830
    assert place[line_of(EVERYTHING, ".word 0x")] == 0x840


def test_long_padding_takes_one_entry_of_the_line_map(assembler: Assembler) -> None:
    made = assemble_with(assembler, "nop\n.space 0x10000\nlast: ret\n", BASE)
    assert dict(made.lines) == {BASE: 1, BASE + 4: 2, BASE + 0x10004: 3}


def test_literal_pools_belong_to_no_line(assembler: Assembler) -> None:
    made = assemble_with(assembler, "ldr x0, =0x123456789\n.ltorg\nldr w0, =5\n", BASE)
    assert made.code[8:16] == struct.pack("<Q", 0x123456789)
    assert made.code[20:] == struct.pack("<I", 5)
    assert {BASE: 1, BASE + 16: 3}.items() <= made.lines.items()
    assert not made.lines.keys() & {BASE + 8, BASE + 12, BASE + 20}


def test_sections_follow_the_code_in_an_order_of_their_own(assembler: Assembler) -> None:
    source = (
        "adr x0, table\n.bss\nroom: .space 8\n.data\nvalue: .quad 5\n"
        ".section .rodata\ntable: .quad value\n.text\nldr x1, =room\n"
    )
    made = assemble_with(assembler, source, BASE)
    assert made.symbols == {"table": BASE + 16, "value": BASE + 24, "room": BASE + 32}
    assert made.code[8:] == struct.pack("<QQQQ", BASE + 32, BASE + 24, 5, 0)
    assert made.lines[BASE + 16] == 7


def test_the_address_is_part_of_the_code(assembler: Assembler) -> None:
    source = "x: adrp x0, x\n.quad x\n"
    low, high = (assemble_with(assembler, source, base) for base in (0x1000, 0x8000_0000))
    assert (low.symbols["x"], high.symbols["x"]) == (0x1000, 0x8000_0000)
    assert low.code[:4] == high.code[:4]
    assert (low.code[4:], high.code[4:]) == (
        struct.pack("<Q", 0x1000),
        struct.pack("<Q", 0x8000_0000),
    )


def test_the_result_cannot_be_changed(everything: Assembled) -> None:
    with pytest.raises(TypeError):
        everything.symbols["start"] = 0  # type: ignore[index]
    with pytest.raises(AttributeError):
        everything.code = b""  # type: ignore[misc]


def test_no_source_gives_no_code(assembler: Assembler) -> None:
    made = assemble_with(assembler, "", BASE)
    assert (made.code, dict(made.symbols), dict(made.lines)) == (b"", {}, {})


def test_what_follows_the_end_directive_is_ignored(assembler: Assembler) -> None:
    made = assemble_with(assembler, "ldr x0, =0x12345678\n.end\nfoo bar\n", BASE)
    assert made.code[8:] == struct.pack("<Q", 0x12345678)


def test_a_comment_mark_within_a_line_is_no_line_marker(assembler: Assembler) -> None:
    with pytest.raises(AssemblerError) as raised:
        assemble_with(assembler, 'nop; # 40 "elsewhere.s"\nfoo x1\n', BASE)
    assert [(p.line, p.column) for p in raised.value.problems] == [(2, 1)]
