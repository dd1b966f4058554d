"""Files of recorded jobs: read, and held to their shape. Standard library only.

A file is a JSON list of ``{"job": {...}, "traces": [...]}``, plain or compressed with xz. What is
wrong with it is reported with its place in the document, ``[3] (rnd-7): job.ram[0].size``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from vcpu_scenario.arm64.cpumodels import CPUS
from vcpu_scenario.host.printable import printable
from vcpu_scenario.host.reading import Unreadable, parse_json, read_regular
from vcpu_scenario.kernels.release import RangeError, parse_release
from vcpu_scenario.kvm.registers import reg_id

Json: TypeAlias = Mapping[str, Any]
Check: TypeAlias = Callable[[Any, str], None]
"""Takes a value and its place in the document; raises :class:`BadRecording`."""

LARGEST: Final = 64 << 20
"""Bytes of a file once decompressed."""
MAX_VALUES: Final = 4 << 20
"""Values in it."""
MAX_RAM: Final = 1 << 30
"""Bytes of all slots of a job."""

_MOST_STREAMS: Final = 1000
"""Of xz, one after the other in a file."""
_MEMORY: Final = 256 << 20
"""Bytes that decompressing may take."""

_XZ: Final = b"\xfd7zXZ\0"


class BadRecording(ValueError):
    """The file is no recording; the message says where and what was expected there."""


def entries(path: str | Path) -> list[Json]:
    """The entries of the file ``path``, checked.

    Raises :class:`BadRecording` with the file's name in its message.
    """
    path = Path(path)
    try:
        raw = _decompress(_read(path), compressed=path.suffix == ".xz")
        document = parse_json(raw, MAX_VALUES)
        _file(document, "")
    except (BadRecording, Unreadable) as error:
        raise BadRecording(f"{printable(path)}: {error}") from None
    found: list[Json] = document
    return found


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, LARGEST)
    except Unreadable as error:
        help_ = f"; {error.help}" if error.help else ""
        raise BadRecording(f"cannot be read: {error}{help_}") from None


def _decompress(raw: bytes, *, compressed: bool) -> bytes:
    if not raw.startswith(_XZ):
        if compressed:
            raise BadRecording("not compressed with xz, as its name says")
        return raw
    try:
        import lzma
    except ImportError:
        raise BadRecording("this Python lacks lzma: decompress the file first") from None
    text, left, streams = b"", raw, 0
    while left:
        streams += 1
        if streams > _MOST_STREAMS:
            raise BadRecording(f"damaged: more than {_MOST_STREAMS} streams of xz")
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, _MEMORY)
        try:
            text += decompressor.decompress(left, LARGEST - len(text) + 1)
        except lzma.LZMAError as error:
            raise BadRecording(f"damaged: {error}") from None
        if len(text) > LARGEST:
            raise BadRecording(f"too large: more than {LARGEST >> 20} MiB decompressed")
        if not decompressor.eof:
            raise BadRecording("damaged: it ends too early")
        left = decompressor.unused_data.lstrip(b"\0")
    return text


# -- shapes ------------------------------------------------------------------------------------


def _fail(where: str, expected: str, value: Any) -> BadRecording:
    shown = json.dumps(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return BadRecording(f"{where or 'the document'}: expected {expected}, found {shown}")


def _integer(low: int = 0, high: int = (1 << 64) - 1) -> Check:
    def check(value: Any, where: str) -> None:
        if type(value) is not int or not low <= value <= high:
            raise _fail(where, f"an integer from {low} to {high:#x}", value)

    return check


def _of_type(kind: type | tuple[type, ...], expected: str) -> Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, kind):
            raise _fail(where, expected, value)

    return check


def _one_of(*choices: Any) -> Check:
    def check(value: Any, where: str) -> None:
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            raise _fail(where, f"one of {', '.join(map(str, choices))}", value)

    return check


def _list_of(item: Check, most: int = 1 << 20) -> Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, list) or len(value) > most:
            raise _fail(where, f"a list of at most {most}" if most < 1 << 20 else "a list", value)
        for number, element in enumerate(value):
            item(element, f"{where}[{number}]")

    return check


def _record(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """An object; keys that are not known here say nothing about how a job is run."""
    known = {**required, **(optional or {})}

    def check(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise _fail(where, "an object", value)
        for name in required:
            if name not in value:
                raise _fail(where, f"a key `{name}`", value)
        for name, element in value.items():
            # Null is as good as not there, where that is good.
            if name in known and (element is not None or name in required):
                known[name](element, f"{where}.{name}" if where else name)

    return check


def _map_of(key: Check, item: Check) -> Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise _fail(where, "an object", value)
        for name, element in value.items():
            key(name, where)
            item(element, f"{where}.{name}")

    return check


def _number_text(base: int) -> Check:
    def check(value: Any, where: str) -> None:
        try:
            number = int(value, base)
        except ValueError:
            number = -1
        if not 0 <= number < 1 << 64:
            raise _fail(where, "a number as a key", value)

    return check


def _register(value: Any, where: str) -> None:
    if not isinstance(value, str) or reg_id(value) is None:
        raise _fail(where, "the name of a register", value)


def _hex(value: Any, where: str) -> None:
    try:
        bytes.fromhex(value)
    except (TypeError, ValueError):
        raise _fail(where, "bytes in hexadecimal", value) from None


def _name(value: Any, where: str) -> None:
    if not isinstance(value, str) or not value.isprintable() or len(value) > 200:
        raise _fail(where, "a name that can be shown", value)


def _seconds(value: Any, where: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 60:
        raise _fail(where, "seconds, more than 0 and at most 60", value)


_ADDRESS: Final = _integer()
_TEXT: Final = _of_type(str, "text")
_FLAG: Final = _of_type(bool, "true or false")
_CONTROL: Final = _list_of(_one_of("enable", "singlestep", "sw_bp", "hw"))
_WATCH: Final = _record(
    {"addr": _ADDRESS, "len": _integer(1, 1 << 31), "type": _one_of("r", "w", "rw")}
)
_DEBUG: Final = _record(
    {"control": _CONTROL}, {"hw_bp": _list_of(_ADDRESS, 16), "watch": _list_of(_WATCH, 16)}
)
_ACTIONS: Final[Mapping[str, Check]] = {
    "debug": _DEBUG,
    "set": _record({"reg": _register, "value": _ADDRESS}),
    "poke": _record({"addr": _ADDRESS, "hex": _hex}),
    "irq": _record({"irq": _integer(high=(1 << 32) - 1), "level": _one_of(0, 1)}),
    "immediate_exit": _record({}),
    "mmio_data": _record({"value": _ADDRESS}),
}


def _action(value: Any, where: str) -> None:
    _record({"do": _one_of(*_ACTIONS)})(value, where)
    _ACTIONS[value["do"]](value, where)


def _ram(value: Any, where: str) -> None:
    """Slots, each and all together no larger than what a real host is likely to have."""
    _SLOTS(value, where)
    if (total := sum(slot["size"] for slot in value)) > MAX_RAM:
        raise _fail(where, f"at most {MAX_RAM:#x} bytes in all slots together", total)


_SLOTS: Final = _list_of(
    _record(
        {"base": _integer(high=(1 << 40) - 1), "size": _integer(1, MAX_RAM)},
        {"readonly": _FLAG},
    )
)
_JOB: Final = _record(
    {
        "name": _name,
        "asm": _TEXT,
        "ram": _ram,
        "load": _list_of(_record({"addr": _ADDRESS, "hex": _hex})),
    },
    {
        "base": _ADDRESS,
        "cpu": _one_of(*CPUS),
        "regs": _map_of(_register, _ADDRESS),
        "caps": _list_of(_one_of("nisv")),
        "gic": _record(
            {"version": _one_of(2, 3), "dist": _ADDRESS}, {"redist": _ADDRESS, "cpu": _ADDRESS}
        ),
        "ioeventfd": _list_of(
            _record({"addr": _ADDRESS, "len": _one_of(0, 1, 2, 4, 8)}, {"match": _ADDRESS})
        ),
        "coalesced": _list_of(_record({"addr": _ADDRESS, "size": _integer(high=(1 << 32) - 1)})),
        "mmio": _map_of(_number_text(0), _ADDRESS),
        "debug": _DEBUG,
        "before": _list_of(_action),
        "on": _map_of(_number_text(10), _list_of(_action)),
        "show": _list_of(_register),
        "brk_always_skip": _FLAG,
        "max": _integer(1, 100_000),
        "timeout": _seconds,
        "sticky_limit": _integer(1, 100_000),
        "stop_on_intr": _FLAG,
        "stop_on_event": _FLAG,
    },
)


def _release(value: Any, where: str) -> None:
    try:
        parse_release(value)
    except (RangeError, TypeError):
        raise _fail(where, "a kernel release such as 6.12 or 5.0-v2trap", value) from None


_NUMBERS: Final = (
    *("errno", "far", "hsr", "flags", "addr", "len", "is_write", "ndata", "type", "ipa", "iss"),
)
"""Fields of an exit that are one number each."""


def _data(value: Any, where: str) -> None:
    """Bytes of an access, or the words that come with a system event."""
    if isinstance(value, list):
        _list_of(_ADDRESS, 16)(value, where)
    else:
        _hex(value, where)


_RING_ENTRY: Final = _record({"addr": _ADDRESS, "len": _integer(), "data": _hex})
_TRACE: Final = _record(
    {
        "kernels": _list_of(_release),
        "exits": _list_of(
            _record(
                {
                    "ret": _integer(-1, 1 << 31),
                    "exit": _name,
                    "pc": _ADDRESS,
                    "regs": _map_of(_name, _ADDRESS),
                },
                dict.fromkeys(_NUMBERS, _ADDRESS) | {"data": _data},
            )
        ),
    },
    {
        "eventfd": _list_of(_integer()),
        "ring": _record(
            {"first": _integer(), "last": _integer(), "entries": _list_of(_RING_ENTRY)}
        ),
        "error": _TEXT,
    },
)
_ENTRY: Final = _record({"job": _JOB, "traces": _list_of(_TRACE)})


def _file(document: Any, where: str) -> None:
    if not isinstance(document, list):
        raise _fail(where, 'a list of {"job": ..., "traces": ...}', document)
    for number, entry in enumerate(document):
        try:
            _ENTRY(entry, "")
        except BadRecording as error:
            raise BadRecording(f"[{number}]{_named(entry)}: {error}") from None


def _named(entry: Any) -> str:
    job = entry.get("job") if isinstance(entry, dict) else None
    name = job.get("name") if isinstance(job, dict) else None
    return f" ({printable(name[:60])})" if isinstance(name, str) else ""
