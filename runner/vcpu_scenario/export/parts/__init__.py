"""The definitions that programs are made of: those that one uses, and what they use themselves.

Each of the files in C here has those of one subject. A program has them in the order of ``_FILES``
and of a file; each ends at an empty line that is followed by one at the left margin, and the first
of a file says what the file is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from vcpu_scenario.export.text import identifiers

_FILES: Final = """
    base outcome memory userfaults vm vgic eventfds ioctls vcpu debugger exits endings checks
    attributes snapshots pl011 cfiflash
"""
_VARIANT: Final = re.compile(r"/\* variant: (\w+) \*/\n")
_NAMED: Final = re.compile(
    r"^#define\s+(\w+)|^(?:enum|struct)\s+(\w+)\s*\{|^static\s[^=;{]*?(\w+)(?:\[\w+\])*\s*(?:[=;]|\()",
    re.MULTILINE,
)
_ATTRIBUTE: Final = re.compile(r"__attribute__\(\(.*?\)\)+ ")
_STRUCT: Final = re.compile(r"^static struct (\w+) \{.*\} (\w+)(?:\[| =)", re.DOTALL | re.MULTILINE)

_HEADERS: Final = (
    ("errno.h", "errno EINVAL EINTR ENODEV EFAULT"),
    ("fcntl.h", "open"),
    ("pthread.h", "pthread_create"),
    ("signal.h", "sigaction sigset_t"),
    ("stdarg.h", "va_list"),
    ("stdbool.h", "bool"),
    ("stddef.h", "offsetof KVM_REG_ARM_CORE_REG"),
    ("stdint.h", "uint8_t uint32_t uint64_t uintptr_t"),
    ("stdio.h", "printf snprintf sscanf vprintf"),
    ("stdlib.h", "exit calloc"),
    ("string.h", "memcpy strerror strstr memcmp memset"),
    ("time.h", "timespec"),
    ("unistd.h", "close read sysconf syscall usleep"),
    ("sys/eventfd.h", "eventfd"),
    ("sys/ioctl.h", "ioctl"),
    ("sys/mman.h", "mmap mprotect munmap"),
    ("sys/syscall.h", "syscall"),
    ("sys/time.h", "setitimer"),
    ("sys/utsname.h", "uname"),
    ("linux/userfaultfd.h", "uffd_msg"),
    ("linux/kvm.h", ""),
)


class Part(NamedTuple):
    """A definition: what it defines, what it uses, for which ``variant`` of a program it stands
    in the place of another of the same name."""

    names: frozenset[str]
    uses: frozenset[str]
    variant: str
    text: str


@cache
def _parts() -> tuple[Part, ...]:
    return tuple(_part(chunk) for name in _FILES.split() for chunk in _chunks(name))


def _chunks(name: str) -> list[str]:
    text = files(__package__).joinpath(f"{name}.c").read_text(encoding="ascii")
    return re.split(r"\n\n(?=\S)", text.rstrip("\n"))[1:]


def _part(chunk: str) -> Part:
    variant = _VARIANT.match(chunk)
    text = chunk[variant.end() :] if variant else chunk
    names = {name for found in _NAMED.finditer(_ATTRIBUTE.sub("", text)) for name in found.groups()}
    if array := _STRUCT.search(_ATTRIBUTE.sub("", text)):
        names |= set(array.groups())
    if text.startswith("enum "):
        names |= identifiers(text[text.index("{") :])
    known = frozenset(name for name in names if name)
    return Part(known, frozenset(identifiers(text)) - known, variant[1] if variant else "", text)


def parts_for(code: str, variants: Collection[str] = ()) -> tuple[str, ...]:
    """The definitions that ``code`` takes, each before the first that uses it.

    ``variants`` are those that the program is.
    """
    chosen = list(_chosen(variants))
    by_name = {name: part for part in chosen for name in part.names}
    waiting, taken = identifiers(code), set[Part]()
    while waiting:
        found = {by_name[name] for name in waiting if name in by_name} - taken
        taken |= found
        waiting = {name for part in found for name in part.uses}
    return tuple(part.text for part in chosen if part in taken)


def _chosen(variants: Collection[str]) -> Iterator[Part]:
    replaced = {name for part in _parts() if part.variant in variants for name in part.names}
    for part in _parts():
        if part.variant in variants or (not part.variant and part.names.isdisjoint(replaced)):
            yield part


def headers_for(code: str) -> list[str]:
    """The lines that include what ``code`` uses."""
    used = identifiers(code)
    return [
        f"#include <{header}>"
        for header, names in _HEADERS
        if not names or not used.isdisjoint(names.split())
    ]
