"""The one way in which files that others wrote are read.

A file is a regular one, of a bounded size, or is refused with a reason: a pipe would wait for its
writer, and a device may have no end. A command that reads a pipe says so (:func:`read_piped`).
JSON is UTF-8, of bounded depth and number of values, and has no numbers that JSON does not have.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, Final, NoReturn

MAX_DEPTH: Final = 64
"""Lists and objects of a JSON document within each other."""


class Unreadable(ValueError):
    """Why a file cannot be read, in words, and what may help."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.help = help


def read_regular(path: Path, limit: int, *, follow: bool = True) -> bytes:
    """The bytes of a regular file of at most ``limit`` bytes; raises :class:`Unreadable`.

    Without ``follow`` the path itself must not be a link.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        # A pipe would wait for its writer, and a device may act on being read.
        handle = os.open(path, flags)
    except FileNotFoundError:
        raise Unreadable("there is no such file", _near(path)) from None
    except (OSError, ValueError) as error:
        raise Unreadable(reason(error)) from None
    try:
        status = os.fstat(handle)
        _check(status, limit)
        with open(handle, "rb", closefd=False) as opened:
            # To ask for all that there may be takes room for it at once.
            found = opened.read(status.st_size + 1)
            if len(found) > status.st_size:  # it grew, or is one of those whose size is told as 0
                found += opened.read(limit + 1 - len(found))
    except OSError as error:
        raise Unreadable(reason(error)) from None
    finally:
        os.close(handle)
    if len(found) > limit:
        raise Unreadable(f"it has more than the {limit:,} bytes that there is room for")
    return found


def read_piped(name: str, limit: int) -> bytes:
    """As :func:`read_regular`; a pipe, or standard input by the name ``-``, is read to its end."""
    try:
        if name != "-" and not stat.S_ISFIFO(os.stat(name).st_mode):
            return read_regular(Path(name), limit)
        with open(0 if name == "-" else name, "rb", closefd=name != "-") as opened:
            _check(os.fstat(opened.fileno()), limit, piped=True)
            found = opened.read(limit + 1)
    except FileNotFoundError:
        raise Unreadable("there is no such file", _near(Path(name))) from None
    except (OSError, ValueError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(reason(error)) from None
    if len(found) > limit:
        raise Unreadable(f"it has more than the {limit:,} bytes that there is room for")
    return found


def _check(status: os.stat_result, limit: int, *, piped: bool = False) -> None:
    if piped and not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return  # a pipe, a socket, or a terminal at which somebody types
    if stat.S_ISDIR(status.st_mode):
        raise Unreadable("it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("it is not a regular file")
    if status.st_size > limit:
        raise Unreadable(f"it has {status.st_size:,} bytes, and there is room for {limit:,}")


def parse_json(raw: bytes, values: int) -> Any:
    """The JSON document ``raw`` of at most ``values`` values; raises :class:`Unreadable`."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        raise Unreadable(
            f"not JSON: not UTF-8, the byte 0x{raw[error.start]:02x} at line {line}, byte {column}"
        ) from None
    opened = text.count("[") + text.count("{")
    if opened + text.count(",") > values:
        raise Unreadable(f"it has more than {values:,} values")
    try:
        document = json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Unreadable(f"not JSON: {error.msg} at {where}") from None
    except RecursionError:
        raise Unreadable(f"nested deeper than {MAX_DEPTH}") from None
    except Unreadable:
        raise
    except ValueError:  # Python's own limit of digits
        raise Unreadable("it has a number of more digits than can be read") from None
    if opened > MAX_DEPTH and _deeper(document, MAX_DEPTH):
        raise Unreadable(f"nested deeper than {MAX_DEPTH}")
    return document


def read_json(path: Path, limit: int, values: int) -> Any:
    """The JSON document in ``path``; raises :class:`Unreadable`."""
    return parse_json(read_regular(path, limit), values)


def _no_number(name: str) -> NoReturn:
    raise Unreadable(f"not JSON: {name} is no number of JSON")


def _deeper(document: Any, most: int) -> bool:
    level = [document]
    for _ in range(most):
        level = (
            [
                child
                for node in level
                for child in (node.values() if isinstance(node, dict) else node)
                if isinstance(child, dict | list)
            ]
            if isinstance(level[0], dict | list)
            else []
        )
        if not level:
            return False
    return True


def reason(error: Exception) -> str:
    """What the system says of ``error``, the same in every version of Python."""
    if isinstance(error, ValueError):
        return "no file's name has a NUL"
    # Up to Python 3.12 links that lead to each other are a RuntimeError.
    number = error.errno if isinstance(error, OSError) else errno.ELOOP
    return os.strerror(number or errno.EIO).lower()


def _near(path: Path) -> str:
    from vcpu_scenario.host.printable import did_you_mean

    try:
        names = [entry.name for entry in os.scandir(path.parent)][:1000]
    except OSError:
        return ""
    return did_you_mean(path.name, names)
