"""What packets carry: numbers in hexadecimal, bytes in hexadecimal, ids of threads."""

from __future__ import annotations

import re
from collections.abc import Sequence
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


def vcpus_of(stub: Stub, text: bytes) -> Sequence[int]:
    """The vCPUs that a thread's id is that of: ``2``, ``p1.2``, any (0), which is the first, or all
    (-1); none where there is no such thread."""
    try:
        *process, thread = (int(part, 16) for part in text.removeprefix(b"p").split(b"."))
    except ValueError:
        raise Bad from None
    everyone = range(stub.target.session.count)
    if not {-1, 0, 1}.issuperset(process):
        return ()
    if -1 in (*process, thread):
        return everyone
    return (max(thread - 1, 0),) if 0 <= thread <= len(everyone) else ()


def is_all(text: bytes) -> bool:
    """Whether a thread's id names all of them."""
    return text.endswith(b"-1") or text.startswith(b"p-1")


def vcpu_of(stub: Stub, text: bytes) -> int | None:
    """The one that a thread's id is that of, of all the first (``gdb_get_cpu``)."""
    known = stub.dialect.knows_all or not is_all(text)
    return next(iter(vcpus_of(stub, text)), None) if known else None
