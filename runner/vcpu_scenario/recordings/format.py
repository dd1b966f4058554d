"""Files of recorded jobs: read, and compared with their shape. Standard library only.

A file is a JSON list of ``{"job": {...}, "traces": [...]}``, plain or compressed with xz. What is
wrong with it is reported with its place in the document, ``[3] (rnd-7): job.ram[0].size``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from vcpu_scenario.arm64.cpumodels import CPUS
from vcpu_scenario.host.printable import printable
from vcpu_scenario.host.reading import Unreadable, parse_json, read_regular
from vcpu_scenario.interchange.shapes import (
    BadShape,
    Check,
    fail,
    hex,
    ignored,
    integer,
    list_of,
    map_of,
    name,
    number_text,
    of_type,
    one_of,
    record,
    register,
    seconds,
)
from vcpu_scenario.kernels.release import RangeError, parse_release

Json: TypeAlias = Mapping[str, Any]


class BadRecording(BadShape):
    """The file is no recording; the message says where and what was expected there."""


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


def entries(path: str | Path, tell: Callable[[str], None] | None = None) -> list[Json]:
    """The entries of the file ``path``, checked; ``tell`` is told which keys are passed over.

    Raises :class:`BadRecording` with the file's name in its message.
    """
    path = Path(path)
    unknown: Counter[str] = Counter()
    token = ignored.set(unknown)
    try:
        raw = _decompress(_read(path), compressed=path.suffix == ".xz")
        document = parse_json(raw, MAX_VALUES)
        _file(document, "")
    except (BadShape, Unreadable) as error:
        raise BadRecording(f"{printable(path)}: {error}") from None
    finally:
        ignored.reset(token)
    if unknown and tell is not None:
        shown = (f"`{printable(key[:60])}` ({times:,})" for key, times in unknown.most_common(8))
        tell(f"{printable(path)}: keys that are not known are passed over: {', '.join(shown)}")
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


_ADDRESS: Final = integer()
_TEXT: Final = of_type(str, "text")
_FLAG: Final = of_type(bool, "true or false")
_CONTROL: Final = list_of(one_of("enable", "singlestep", "sw_bp", "hw"))
_WATCH: Final = record(
    {"addr": _ADDRESS, "len": integer(1, 1 << 31), "type": one_of("r", "w", "rw")}
)
_DEBUG: Final = record(
    {"control": _CONTROL}, {"hw_bp": list_of(_ADDRESS, 16), "watch": list_of(_WATCH, 16)}
)
_ACTIONS: Final[Mapping[str, Check]] = {
    "debug": _DEBUG,
    "set": record({"reg": register, "value": _ADDRESS}),
    "poke": record({"addr": _ADDRESS, "hex": hex}),
    "irq": record({"irq": integer(high=(1 << 32) - 1), "level": one_of(0, 1)}),
    "immediate_exit": record({}),
    "mmio_data": record({"value": _ADDRESS}),
}


def _action(value: Any, where: str) -> None:
    record({"do": one_of(*_ACTIONS)}, more=True)(value, where)
    _ACTIONS[value["do"]]({name: each for name, each in value.items() if name != "do"}, where)


def _ram(value: Any, where: str) -> None:
    """Slots, each and all together no larger than what a real host is likely to have."""
    _SLOTS(value, where)
    if (total := sum(slot["size"] for slot in value)) > MAX_RAM:
        raise fail(where, f"at most {MAX_RAM:#x} bytes in all slots together", total)


_SLOTS: Final = list_of(
    record(
        {"base": integer(high=(1 << 40) - 1), "size": integer(1, MAX_RAM)},
        {"readonly": _FLAG},
    )
)
_JOB: Final = record(
    {
        "name": name,
        "asm": _TEXT,
        "ram": _ram,
        "load": list_of(record({"addr": _ADDRESS, "hex": hex})),
    },
    {
        "base": _ADDRESS,
        "cpu": one_of(*CPUS),
        "regs": map_of(register, _ADDRESS),
        "caps": list_of(one_of("nisv")),
        "gic": record(
            {"version": one_of(2, 3), "dist": _ADDRESS}, {"redist": _ADDRESS, "cpu": _ADDRESS}
        ),
        "ioeventfd": list_of(
            record({"addr": _ADDRESS, "len": one_of(0, 1, 2, 4, 8)}, {"match": _ADDRESS})
        ),
        "coalesced": list_of(record({"addr": _ADDRESS, "size": integer(high=(1 << 32) - 1)})),
        "mmio": map_of(number_text(0), _ADDRESS),
        "debug": _DEBUG,
        "before": list_of(_action),
        "on": map_of(number_text(10), list_of(_action)),
        "show": list_of(register),
        "brk_always_skip": _FLAG,
        "max": integer(1, 100_000),
        "timeout": seconds,
        "sticky_limit": integer(1, 100_000),
        "stop_on_intr": _FLAG,
        "stop_on_event": _FLAG,
    },
)


def _release(value: Any, where: str) -> None:
    try:
        parse_release(value)
    except (RangeError, TypeError):
        raise fail(where, "a kernel release such as 6.12 or 5.0-v2trap", value) from None


_NUMBERS: Final = (
    *("errno", "far", "hsr", "flags", "addr", "len", "is_write", "ndata", "type", "ipa", "iss"),
)
"""Fields of an exit that are one number each."""


def _data(value: Any, where: str) -> None:
    """Bytes of an access, or the words that come with a system event."""
    if isinstance(value, list):
        list_of(_ADDRESS, 16)(value, where)
    else:
        hex(value, where)


_RING_ENTRY: Final = record({"addr": _ADDRESS, "len": integer(), "data": hex})
_TRACE: Final = record(
    {
        "kernels": list_of(_release),
        "exits": list_of(
            record(
                {
                    "ret": integer(-1, 1 << 31),
                    "exit": name,
                    "pc": _ADDRESS,
                    "regs": map_of(name, _ADDRESS),
                },
                dict.fromkeys(_NUMBERS, _ADDRESS) | {"data": _data},
                more=True,  # each is compared
            )
        ),
    },
    {
        "eventfd": list_of(integer()),
        "ring": record({"first": integer(), "last": integer(), "entries": list_of(_RING_ENTRY)}),
        "error": _TEXT,
    },
)
_ENTRY: Final = record({"job": _JOB, "traces": list_of(_TRACE)})


def _file(document: Any, where: str) -> None:
    if not isinstance(document, list):
        raise fail(where, 'a list of {"job": ..., "traces": ...}', document)
    for number, entry in enumerate(document):
        try:
            _ENTRY(entry, "")
        except BadShape as error:
            raise BadRecording(f"[{number}]{_named(entry)}: {error}") from None


def _named(entry: Any) -> str:
    job = entry.get("job") if isinstance(entry, dict) else None
    name = job.get("name") if isinstance(job, dict) else None
    return f" ({printable(name[:60])})" if isinstance(name, str) else ""
