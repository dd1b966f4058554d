"""Assembler texts that try to read a file, to fill the memory or to go on for ever."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

_SEPARATORS: Final = (
    ";",
    "\n",
    "\r",
    "\r\n",
    "\f",
    "\v",
    "\x00",
    "\x1a",
    "\x85",
    "\u2028",
    " ",
    "\t",
)
_HARMLESS: Final = (
    "start: nop",
    "1: ldr x0, =0x12345678",
    "mov w0, #';'",
    "mov w0, #'\"",
    "mov w0, #'\\''",
    '.ascii "a;b // c"',
    '.asciz "\\"; \\\\"',
    "/* a comment */ nop",
    "/* open",
    "*/ nop",
    "// a comment \\",
    '# 1 "elsewhere.s"',
    "#APP",
    "#NO_APP",
    '.string "never ended',
    ".if 0",
    ".else",
    ".endif",
    ".rept 2",
    ".endr",
    ".endm",
    ".end",
    ".mri 1",
    ".altmacro",
    ".noaltmacro",
    ".text",
    '.section "na;me"',
    ".pushsection .data",
    ".popsection",
    "x = 5",
    "x .req x0",
    ". = . + 8",
    "\\",
    "b.ne 1b",
)
_BOMBS: Final = (
    ".rept 1000000000\nnop\n.endr",
    ".rept 1000000000\n.endr",
    ".rept 65536\n.rept 65536\nnop\n.endr\n.endr",
    ".skip 1<<40",
    ".space 0x7fffffffffffffff",
    ".org 1<<50",
    ".fill 1<<33, 8, 1",
    ".fill 0x7fffffff, 0x7fffffff, 1",
    ".align 60",
    ".p2align 63",
    ".balign 1<<62",
    ".macro m\nm\n.endm\nm",
    ".macro a\nb\nb\n.endm\n.macro b\na\na\n.endm\na",
    '.macro d x\n.ascii "\\x\\x"\n.endm\nd ' + "y" * 60_000,
    "\n".join(f".macro m{n}\nm{n + 1}\nm{n + 1}\n.endm" for n in range(30)) + "\nm0",
    ".irpc c," + "z" * 50_000 + "\n.byte '\\c\n.endr",
    ".set x, " + "(" * 5000 + "1" + ")" * 5000,
    ".set x, " + "-" * 20_000 + "1",
    ".set x, y+1\n.set y, x+1\n.quad x",
    ".if 1\n" * 5000,
    "l: " * 20_000,
    ".nops 1<<30",
    ".zero -1",
    ".dcb.d 1<<40, 1",
    ".uleb128 " + "1" * 5000,
    ".octa 0x" + "f" * 5000,
    ".comm big, 1<<60",
    ".lcomm big, 1<<60",
    ".subsection 100000",
)


def source(seed: int, paths: Sequence[str]) -> str:
    """The text of ``seed``, which tries to open one of ``paths``."""
    random = Random(f"fuzz source {seed}")
    parts = []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        make = _bomb if random.random() < 0.04 else random.choice(_ATTACKS)
        parts += random.choices(_HARMLESS, k=random.choice((0, 0, 0, 1, 2)))
        parts.append(make(random, random.choice(paths)))
    joined = parts[0]
    for part in parts[1:]:
        joined += random.choice(_SEPARATORS if random.random() < 0.3 else ("\n",)) + part
    for _ in range(random.choice((0, 0, 0, 1, 2))):
        joined = _changed(joined, random)
    return joined + "\n"


def _payload(random: Random, path: str) -> tuple[str, str]:
    """A directive that opens ``path``, and its operands."""
    if random.random() < 0.5:
        return ".include", f'"{path}"'
    return ".incbin", f'"{path}"' + random.choice(("", "", ",0", ",0,16", ",4,8"))


def _plain(random: Random, path: str) -> str:
    name, operands = _payload(random, path)
    spelled = random.choice(
        (
            name,
            name.upper(),
            "".join(random.choice((c, c.upper())) for c in name),
            f'"{name}"',
            name[:4] + random.choice(("/**/", "\\\n", '""', "\\()", "\x00", "\u200b")) + name[4:],
            name.removeprefix("."),
            f"%{name}",
            f"\\{name}",
        )
    )
    before = random.choice(
        (
            "",
            "l: ",
            "1: ",
            '"q": ',
            "l:: ",
            "nop ",
            "nop; ",
            "x=1 ",
            ". ",
            ": ",
            "/**/",
            "{",
            "@ ",
            "x .req ",
        )
    )
    return f"{before}{spelled}{random.choice((' ', '', chr(9), '/**/'))}{operands}"


def _macro(random: Random, path: str) -> str:
    name, operands = _payload(random, path)
    cut = random.randrange(1, len(name))
    escaped = operands.replace('"', '\\"')
    head, tail = name[:cut], name[cut:]
    return random.choice(
        (
            f".macro z s\n{head}\\s {operands}\n.endm\nz {tail}",
            f".macro z s={tail}\n{head}\\s {operands}\n.endm\nz",
            f".macro z s\n\\s\\(){tail} {operands}\n.endm\nz {head}",
            f".macro z s t\n\\s\\t {operands}\n.endm\nz {head} {tail}",
            f".macro z s, t\n\\s\\t {operands}\n.endm\nz t={tail}, s={head}",
            f".macro z s:vararg\n\\s\n.endm\nz {name} {operands}",
            f'.macro z s:req\nnop \\s\n.endm\nz "; {name} {escaped}"',
            f'.macro z s\n.ascii "\\s"\n.endm\nz "\\"; {name} {operands}; .ascii \\""',
            f".macro z s\n.macro y\n{head}\\s {operands}\n.endm\ny\n.endm\nz {tail}",
            f".macro z s\n.macro \\s t\n\\t {operands}\n.endm\n.endm\nz y\ny {name}",
            f".macro nop s\n{head}\\s {operands}\n.endm\nnop {tail}",
            f'.macro z f\n{name} "\\f"\n.endm\nz {path}',
            f".macro z\n.endm\n.macro z s\n{head}\\s {operands}\n.endm\nz {tail}",
            f".macro .word s\n{head}\\s {operands}\n.endm\n.word {tail}",
        )
    )


def _repeated(random: Random, path: str) -> str:
    name, operands = _payload(random, path)
    cut = random.randrange(1, len(name))
    escaped = operands.replace('"', '\\"')
    head, tail = name[:cut], name[cut:]
    return random.choice(
        (
            f".irp d, {name.removeprefix('.')}\n.\\d {operands}\n.endr",
            f".irp d, {tail}\n{head}\\d {operands}\n.endr",
            f".irp d, nop, {name}\n\\d {operands}\n.endr",
            f".irpc c, {name[-1]}\n{name[:-1]}\\c {operands}\n.endr",
            f'.irp f, {path}\n{name} "\\f"\n.endr',
            f".irp a, {head}\n.irp b, {tail}\n\\a\\b {operands}\n.endr\n.endr",
            f".rept 1\n{name} {operands}\n.endr",
            f".rept 2\n{head}\\+{tail} {operands}\n.endr",
            f'.irp d, "{name} {escaped}"\n\\d\n.endr',
            f'.irp d, "nop; {head}"\n\\d\\(){tail} {operands}\n.endr',
        )
    )


def _alternate(random: Random, path: str) -> str:
    name, operands = _payload(random, path)
    cut = random.randrange(1, len(name))
    head, tail = name[:cut], name[cut:]
    return ".altmacro\n" + random.choice(
        (
            f".macro z s\n{head}&s {operands}\n.endm\nz {tail}",
            f".macro z s\n{head}&s& {operands}\n.endm\nz <{tail}>",
            f".macro z s\ns {operands}\n.endm\nz <{name}>",
            f".macro z s\ns\n.endm\nz <{name} {operands}>",
            f".macro z s\nLOCAL q\n{head}\\s {operands}\n.endm\nz {tail}",
            f".macro z s\n{head}\\s {operands}\n.endm\nz !{tail[:1]}{tail[1:]}",
        )
    )


def _quoting(random: Random, path: str) -> str:
    name, operands = _payload(random, path)
    return random.choice(
        (
            f'.ascii "a\\"\n{name} {operands}\n"',
            f'.ascii "a\\\\"; {name} {operands}',
            f'.ascii "a\n{name} {operands}\n"',
            f'mov w0, #\'"; {name} {operands} //"',
            f"mov w0, #'\\; {name} {operands}",
            f"mov w0, #''; {name} {operands}; //'",
            f"mov w0, #'/*'; {name} {operands} //*/",
            f'/* " */ {name} {operands} /* " */',
            f"/* // */ {name} {operands}",
            f"// /*\n{name} {operands}\n// */",
            f"# /*\n{name} {operands}\n# */",
            f"nop /* \n */ ; {name} {operands}",
            f'.section "a;{name} {path}"',
            f'.ifc a;b, "\n{name} {operands}\n.endif',
            f'.error "{path}"; {name} {operands}',
            f"{{; {name} {operands}; }}",
            f"nop @ {name} {operands}",
            f"nop ! {name} {operands}",
            f"nop # {name} {operands}",
            f"nop // \r{name} {operands}",
            f"# x\r{name} {operands}",
            f"nop // \x0c{name} {operands}",
            f"nop // \u2028{name} {operands}",
            f"nop \\\n{name} {operands}",
            f"nop // \\\n{name} {operands}",
        )
    )


def _other(random: Random, path: str) -> str:
    return random.choice(
        (
            f'.mri 1\n include "{path}"',
            f'.mri 1\nincbin "{path}"',
            f'# 1 "{path}"\nzork',
            f'# 1 "{path}" 1 3\n.error "x"',
            f'.linefile 1 "{path}"\nzork',
            f'.file "{path}"\nzork',
            f'.file 1 "{path}" md5 0x0\n.loc 1 1 1\nnop',
            f'.appfile "{path}"\nzork',
            f'.line 1\n.file "{path}"\n.err',
            f'.dump "{path}"',
            f'.load "{path}"',
            f'.secure_log_unique "{path}"',
            f'.cv_file 1 "{path}"',
            f'.cv_inline_site_id 1 "{path}"',
            f'.incbin "{path}"\n.altmacro',
            f'.symver a, "{path}"',
            f'.ident "{path}"',
            f'.print "\x1b]0;{path}\x07"',
            f'.error "\x1b[31m::error::{path}"',
            f'.warning "{path}"',
            f"@{path}",
            f"--MD {path}",
            f'-I {path}\n.include "x"',
            f'.section .note, "a", @note\n.asciz "{path}"',
            f'.linker_option "{path}"',
            f'.bundle_align_mode 4\n.include "{path}"',
            f'.set x, "{path}"',
            f'.import "{path}"',
            f'.insert "{path}"',
            f".incbin {path}",
            f".include <{path}>",
            f".include '{path}'",
        )
    )


_TOKENS: Final = (
    *("\\", '"', "'", ";", "\n", "\r", "/*", "*/", "//", "#", ":", ".", "=", ",", "\\()", "\\@"),
    *(
        ".macro q",
        ".endm",
        ".endr",
        ".irp d, x",
        "&",
        "%",
        "<",
        ">",
        "!",
        "{",
        "}",
        "\x00",
        "\ud800",
    ),
    *(".include", ".incbin", ".if 0", ".endif", ".end", "\xff", "\u202e", "\x1b[2J", " ", "\t"),
)


def _changed(text: str, random: Random) -> str:
    at = random.randrange(len(text) + 1)
    length = random.choice((0, 0, 0, 1, 2, 5))
    return text[:at] + random.choice(_TOKENS) + text[at + length :]


def _bomb(random: Random, path: str) -> str:
    return random.choice(_BOMBS)


_ATTACKS: Final[Sequence[Callable[[Random, str], str]]] = (
    _plain,
    _macro,
    _macro,
    _repeated,
    _repeated,
    _alternate,
    _quoting,
    _other,
)
