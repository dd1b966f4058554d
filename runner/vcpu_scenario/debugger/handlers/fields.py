"""What packets carry: numbers in hexadecimal, bytes in hexadecimal, ids of threads."""

from __future__ import annotations

import re
from typing import Final

from vcpu_scenario.debugger.stub import Bad, NotOffered, Stub

_NUMBER: Final = re.compile(rb"\s*[+-]?(?:0[xX](?=[\da-fA-F]))?([\da-fA-F]+)")
_MOST: Final = (1 << 64) - 1
_NO_DIGIT: Final = re.compile(rb"[^\da-fA-F]")


def number(text: bytes) -> int:
    """The number that ``text`` begins with, as ``strtoul`` takes it. What is none makes the packet
    unknown, what is missing makes it bad."""
    if not text:
        raise Bad
    found = _NUMBER.match(text)
    if found is None or (value := int(found[1], 16)) > _MOST:
        raise NotOffered
    return (-value if found[0].lstrip().startswith(b"-") else value) & _MOST


def numbers(text: bytes, count: int) -> list[int]:
    """``count`` numbers, with commas between them."""
    parts = text.split(b",")
    if any(not part for part in parts[:-1]):
        raise NotOffered
    found = [number(part) for part in parts[:count]]
    if len(found) < count:
        raise Bad
    return found


def unhexed(stub: Stub, text: bytes) -> bytes:
    """Bytes by two digits each. To QEMU what is none stands for 0, and a single one at the end for
    nothing (``gdb_hextomem``)."""
    if stub.dialect.qemu:
        text = _NO_DIGIT.sub(b"0", text[: len(text) // 2 * 2])
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError:
        raise Bad from None


def is_vcpu(text: bytes, *, any_too: bool = True, all_too: bool = True) -> bool:
    """Whether a thread's id is that of the only vCPU: ``1``, ``p1.1``, or any (0) or all (-1)."""
    ids = text.removeprefix(b"p").split(b".")
    known = {1, *((0,) if any_too else ()), *((-1,) if all_too else ())}
    try:
        return all(int(part, 16) in known for part in ids)
    except ValueError:
        raise Bad from None
