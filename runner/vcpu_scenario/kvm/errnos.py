"""The errnos that KVM's ioctls return, by name, as Linux numbers them.

Not from the :mod:`errno` of the host, which may be another system than the one spoken of.
"""

from __future__ import annotations

from typing import Final

ERRNOS: Final = {
    "EPERM": 1,
    "ENOENT": 2,
    "EINTR": 4,
    "EIO": 5,
    "ENXIO": 6,
    "E2BIG": 7,
    "ENOEXEC": 8,
    "EBADF": 9,
    "EAGAIN": 11,
    "ENOMEM": 12,
    "EACCES": 13,
    "EFAULT": 14,
    "EBUSY": 16,
    "EEXIST": 17,
    "ENODEV": 19,
    "EINVAL": 22,
    "ENOTTY": 25,
    "ENOSPC": 28,
    "ERANGE": 34,
    "ENOSYS": 38,
    "EOPNOTSUPP": 95,
    "EHWPOISON": 133,
}
_NAMES: Final = {number: name for name, number in ERRNOS.items()}


def errno_name(number: int) -> str:
    """``EINTR`` for 4; the number where it has no name."""
    return str(errno_word(number))


def errno_word(number: int) -> str | int:
    """As a scenario has it: ``EINTR`` for 4, the number where it has no name."""
    return _NAMES.get(number, number)
