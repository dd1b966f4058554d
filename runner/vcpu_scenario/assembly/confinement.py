"""What a program may open: itself, its libraries and one folder, and nothing else at all.

Linux has this as Landlock since 5.13, for every user and without a helper. The domain is entered by
a thread that starts the program and ends; the program inherits it and cannot leave it. Where there
is no Landlock, :func:`unavailable` says why, and what an assembler opens rests on the text that it
is given (:mod:`.statements`), as it does in any case.
"""

from __future__ import annotations

import ctypes
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from threading import Thread
from typing import Final, TypeVar

_Made = TypeVar("_Made")

# include/uapi/linux/landlock.h; the numbers of the calls are the same on all architectures.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION: Final = 1
_RULE_PATH_BENEATH: Final = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << n for n in range(6))
_MAKE_REG: Final = 1 << 8
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_ACCESS: Final = {1: (1 << 13) - 1, 2: _REFER, 3: _TRUNCATE, 5: _IOCTL_DEV}
"""The kinds of access that each version of Landlock adds."""
_PROGRAM: Final = _EXECUTE | _READ_FILE
_OWN_FOLDER: Final = _READ_FILE | _WRITE_FILE | _READ_DIR | _REMOVE_FILE | _MAKE_REG | _TRUNCATE
_NO_NEW_PRIVS: Final = 38


class NotConfined(RuntimeError):
    """The program cannot be confined; the message says why."""


@lru_cache(maxsize=1)
def version() -> int:
    """The version of Landlock here; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, _call(_CREATE_RULESET, None, ctypes.c_size_t(0), _CREATE_RULESET_VERSION))


def unavailable(program: str) -> str:
    """Why ``program`` cannot be confined; empty where it can be."""
    if not version():
        return "the system has no Landlock (Linux 5.13 or newer)"
    try:
        files_of(program)
    except NotConfined as why:
        return str(why)
    return ""


@lru_cache(maxsize=16)
def files_of(program: str) -> tuple[str, ...]:
    """The program, its interpreter and its libraries; raises :class:`NotConfined`."""
    path = os.path.realpath(program)
    try:
        with open(path, "rb") as file:
            interpreter = _interpreter(file.read(1 << 12))
    except OSError as error:
        raise NotConfined(f"{program} cannot be read: {error.strerror}") from None
    if interpreter is None:
        raise NotConfined(f"{program} is no ELF program")
    if not interpreter:
        return (path,)
    listed = subprocess.run(
        [interpreter, "--list", path], capture_output=True, timeout=30, check=False, text=True
    )
    if listed.returncode:
        raise NotConfined(f"the libraries of {program} cannot be listed")
    libraries = re.findall(r"(/\S+) \(0x", listed.stdout)
    return tuple(dict.fromkeys((path, interpreter, *libraries)))


def _interpreter(head: bytes) -> str | None:
    """Of a 64-bit ELF file, the interpreter it names; empty without one, None for another file."""
    if not head.startswith(b"\x7fELF\x02"):
        return None
    (table,) = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    for number in range(count):
        at = table + number * size
        if at + 40 > len(head):
            break
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", head, at)
        if kind == 3:
            return head[offset : offset + length].rstrip(b"\0").decode()
    return ""


def confined(files: Iterable[str], folder: str, start: Callable[[], _Made]) -> _Made:
    """What ``start`` returns, called where nothing but ``files`` and ``folder`` can be opened.

    ``start`` is to start a process, which stays confined; nothing else here is. Raises
    :class:`NotConfined`, and what ``start`` raises.
    """
    outcome: list[_Made] = []
    faults: list[BaseException] = []

    def enter() -> None:
        try:
            _restrict(files, folder)
            outcome.append(start())
        except BaseException as fault:
            faults.append(fault)

    thread = Thread(target=enter, name="confined")
    thread.start()
    thread.join()
    if faults:
        raise faults[0]
    return outcome[0]


def _restrict(files: Iterable[str], folder: str) -> None:
    handled = 0
    for since, access in _ACCESS.items():
        handled |= access if version() >= since else 0
    attributes = struct.pack("<Q", handled)
    ruleset = _call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        raise NotConfined("Landlock refuses a set of rules")
    try:
        for file in files:
            _allow(ruleset, file, _PROGRAM)
        _allow(ruleset, os.devnull, (_READ_FILE | _WRITE_FILE | _TRUNCATE) & handled)
        _allow(ruleset, folder, _OWN_FOLDER & handled)
        libc = _libc()
        if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or _call(_RESTRICT_SELF, ruleset, 0) < 0:
            raise NotConfined("Landlock does not take effect")
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, access: int) -> None:
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("<Qi", access, handle)
        if _call(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0) < 0:
            raise NotConfined(f"Landlock takes no rule for {path}")
    finally:
        os.close(handle)


@lru_cache(maxsize=1)
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    syscall = _libc().syscall
    syscall.restype = ctypes.c_long
    return int(syscall(ctypes.c_long(number), *arguments))
