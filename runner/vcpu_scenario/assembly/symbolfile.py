"""Names for addresses from a file beside a guest that has none: an ELF file, a Linux Image that
carries them, or a list as ``nm`` prints it and Linux has it in ``System.map``.

Such a file may come from anywhere: what is read of it is bounded, and what is wrong is said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from vcpu_scenario.assembly.elf import MAX_FILE, MAX_SYMBOLS, read_symbols
from vcpu_scenario.assembly.kallsyms import kernel_symbols
from vcpu_scenario.assembly.kernelimage import MAGIC
from vcpu_scenario.assembly.refusal import NotAGuest

_LINE: Final = re.compile(
    r"(?:0x)?([0-9A-Fa-f]{1,16})(?:\s+[0-9A-Fa-f]{1,16})?\s+([A-Za-z?-])\s+(\S+)(?:\s+\[\S+\])?\s*"
)
"""Address, size where ``nm -S`` gives it, type, name, and the module in /proc/kallsyms."""
_UNDEFINED: Final = re.compile(r"\s+[UuVvWw]\s+\S+\s*")
_NONE: Final = "it has no symbols; name the file that was not stripped of them"
_SHOWN: Final = 40


@lru_cache(maxsize=2)
def names_in(data: bytes, at: int) -> Mapping[str, int]:
    """Addresses by name. A global name wins over a local one, then the first.

    The symbols of a position-independent ELF file are moved as if it were loaded at ``at``. Raises
    :class:`~vcpu_scenario.assembly.refusal.NotAGuest` for what is no such file or has no names.
    """
    if len(data) > MAX_FILE:
        raise NotAGuest(f"it is larger than {MAX_FILE >> 20} MiB")
    is_elf, is_image = data.startswith(b"\x7fELF"), data[56:60] == MAGIC
    if is_image:
        found = kernel_symbols(data)
    else:
        found = read_symbols(data, at) if is_elf else _listed(data)
    if not found:
        raise NotAGuest(_NONE if is_elf or is_image else "it is empty")
    return MappingProxyType(found)


def _listed(data: bytes) -> dict[str, int]:
    if b"\0" in data:
        raise NotAGuest("it is neither an ELF file nor a list as nm prints it")
    if data.count(b"\n") > MAX_SYMBOLS:
        raise NotAGuest(f"it has more than {MAX_SYMBOLS:,} symbols")
    found: dict[str, tuple[bool, int]] = {}
    for number, raw in enumerate(data.split(b"\n"), start=1):
        line = raw.decode("utf-8", "replace")
        match = _LINE.fullmatch(line)
        if match is None:
            if line.strip() and not _UNDEFINED.fullmatch(line):
                raise NotAGuest(_no_line(number, line))
            continue
        address, kind, name = match.groups()
        is_global = kind.isupper()
        if name not in found or (is_global and not found[name][0]):
            found[name] = is_global, int(address, 16)
    return {name: value for name, (_, value) in found.items()}


def _no_line(number: int, line: str) -> str:
    shown = line.strip()[:_SHOWN]
    return (
        f"it is no ELF file, and its line {number}, `{shown}`, is not as nm prints it:"
        " ffff800080000000 T _text"
    )
