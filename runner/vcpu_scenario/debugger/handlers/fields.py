"""What packets carry: numbers in hexadecimal, bytes in hexadecimal, ids of threads."""

from __future__ import annotations

from vcpu_scenario.debugger.stub import Bad, NotOffered


def number(text: bytes) -> int:
    """An unsigned number. What is none makes the packet unknown, what is missing makes it bad."""
    if not text:
        raise Bad
    if not text.isalnum() or len(text) > 16:
        raise NotOffered
    try:
        return int(text, 16)
    except ValueError:
        raise NotOffered from None


def numbers(text: bytes, count: int) -> list[int]:
    """``count`` numbers, with commas between them."""
    parts = text.split(b",")
    if any(not part for part in parts[:-1]):
        raise NotOffered
    found = [number(part) for part in parts[:count]]
    if len(found) < count:
        raise Bad
    return found


def unhexed(text: bytes) -> bytes:
    """Bytes by two digits each."""
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
