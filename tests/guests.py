"""Guest code of tests, written as assembly.

``words("mov x0, #0x09000000; ldr w1, [x0]; b .")`` is what an assembler makes of it. No test needs
an assembler for that: ``guests.words.json`` beside this file keeps the words of every text that a
test gives. After adding or changing one::

    python -m tests.guests

assembles all of them anew. ``tests/assembly/test_guests.py`` compares the file with the texts, and
with what each installed assembler makes of them. A text is a literal string: it is found by
reading the tests, not by running them. Instructions are separated by ``;`` or line ends.
"""

from __future__ import annotations

import ast
import json
import struct
import sys
from functools import cache
from pathlib import Path
from typing import Final

from vcpu_scenario.assembly import assemblers
from vcpu_scenario.assembly.assemble import assemble_with
from vcpu_scenario.assembly.assemblers import Assembler

TESTS: Final = Path(__file__).parent
KEPT: Final = Path(__file__).with_name("guests.words.json")
_NAMES: Final = ("words", "listed", "binary")


def words(text: str) -> tuple[int, ...]:
    """The instructions of ``text`` as 32-bit words. Raises :class:`KeyError` for a new text."""
    found = kept().get(_key(text))
    if found is None:
        raise KeyError(f"no words of {_key(text)!r}: run `python -m tests.guests`")
    return tuple(int(word, 16) for word in found.split())


def listed(text: str) -> str:
    """The same as a list for ``words:`` in a scenario: ``[0xd2a12000, 0xb9400001]``."""
    return f"[{', '.join(f'{word:#010x}' for word in words(text))}]"


def binary(text: str) -> bytes:
    """The same as bytes in memory, little-endian."""
    found = words(text)
    return struct.pack(f"<{len(found)}I", *found)


def texts() -> set[str]:
    """Every text that a test gives to a function of this module."""
    return {
        _key(text)
        for path in TESTS.rglob("*.py")
        if "\nfrom tests.guests import" in (source := path.read_text(encoding="utf-8"))
        for text in _texts(ast.parse(source))
    }


def assembled(text: str, assembler: Assembler) -> str:
    """What ``assembler`` makes of ``text``: words of eight hexadecimal digits, with spaces between
    them. Raises :class:`AssemblerError` with what it complains about."""
    code = assemble_with(assembler, text.replace(";", "\n") + "\n", 0).code
    return " ".join(f"{word:08x}" for (word,) in struct.iter_unpack("<I", code))


def _texts(tree: ast.Module) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in _NAMES:
            (argument,) = node.args
            assert isinstance(argument, ast.Constant), ast.unparse(node)
            assert isinstance(argument.value, str), ast.unparse(node)
            found.append(argument.value)
    return found


def _key(text: str) -> str:
    """The text with one space between words and ``;`` between instructions."""
    lines = text.replace("\n", ";").split(";")
    return "; ".join(" ".join(line.split()) for line in lines if line.strip())


@cache
def kept() -> dict[str, str]:
    found: dict[str, str] = json.loads(KEPT.read_text(encoding="utf-8"))
    return found


def main() -> int:
    """Writes the words of every text."""
    assembler = assemblers.choose()
    kept = {text: assembled(text, assembler) for text in sorted(texts())}
    KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
