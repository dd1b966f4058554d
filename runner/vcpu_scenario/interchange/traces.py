"""A trace as JSON: that of recorded jobs, and what they do not keep of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from msgspec.structs import asdict

from vcpu_scenario.interchange.records import decode, decode_deed, encode, one_line
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.trace import (
    Ending,
    Entry,
    Exit,
    Inside,
    Ring,
    RingEntry,
    StopReason,
    Trace,
    Unmodelled,
)

Json: TypeAlias = Mapping[str, Any]

_HEAD = ("exit", "ret", "errno", "pc", "regs")
_NOTHING: Final = asdict(Inside())


def trace_to_json(trace: Trace) -> dict[str, Any]:
    """``exits``, and of the rest what there is: ``eventfd``, ``ring``, ``error``, ``errno``,
    ``ended``, ``refused``, ``not_modelled``, ``final_regs``, ``memory``, ``output``, ``entries``,
    ``reg_list``, ``asked``, ``after``, ``left``.

    An entry has the fields of :class:`vcpu_scenario.trace.Entry`, those with their default value
    left out, and ``debug`` and ``breakpoints`` only where they are not as at the entry before.
    """
    state = {
        "ended": str(trace.ended),
        "refused": trace.refused,
        "not_modelled": trace.unmodelled._asdict() if trace.unmodelled is not None else None,
        "errno": trace.errno,
        "final_regs": dict(trace.final_regs),
        "memory": [{"addr": addr, "data": data.hex()} for addr, data in trace.memory.items()],
        "output": {name: data.decode("latin-1") for name, data in trace.output.items()},
        "entries": list(_entries(trace.entries)),
        "reg_list": None if trace.reg_list is None else list(trace.reg_list),
        "asked": trace.asked,
        "after": [encode(deed) for deed in trace.after],
        "left": trace.left,
    }
    return trace.to_json() | {key: value for key, value in state.items() if value}


def _entries(entries: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    debug, breakpoints = GuestDebug(), frozenset[int]()
    for entry in entries:
        out: dict[str, Any] = {"exit": entry.exit, "pc": entry.pc}
        if entry.did:
            out["did"] = [encode(deed) for deed in entry.did]
        if entry.debug != debug:
            out["debug"] = encode(entry.debug)
        if entry.breakpoints != breakpoints:
            out["breakpoints"] = sorted(entry.breakpoints)
        if entry.kicked:
            out["kicked"] = True
        if entry.told is not None:
            out["told"] = str(entry.told)
        if entry.inside is not None:
            out["inside"] = _inside(entry.inside)
        debug, breakpoints = entry.debug, entry.breakpoints
        yield out


def _inside(inside: Inside) -> dict[str, Any]:
    return {name: value for name, value in asdict(inside).items() if value != _NOTHING[name]}


def trace_from_json(document: Json) -> Trace:
    """The trace that :func:`trace_to_json` wrote; other keys say nothing.

    Raises ValueError where it did not write it.
    """
    try:
        return _read_trace(document)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"not a trace: {type(error).__name__}: {error}") from error


def dump_trace(trace: Trace) -> str:
    """One line of JSON."""
    return one_line(trace_to_json(trace))


def load_trace(line: str) -> Trace:
    """Raises ValueError where ``line`` is no trace."""
    return trace_from_json(json.loads(line))


def _read_trace(document: Json) -> Trace:
    _number(document.get("errno", 0), "errno")
    _number(document.get("asked", 0), "asked")
    _number(document.get("left", 0), "left")
    _number(document.get("eventfd", []), "eventfd")
    _registers(document.get("final_regs", {}), "final_regs")
    _text(document.get("refused", ""), "refused")
    _text(document.get("error") or "", "error")
    return Trace(
        tuple(_exit(exit_) for exit_ in document["exits"]),
        tuple(document.get("eventfd", ())),
        ring_from_json(document.get("ring")),
        document.get("error"),
        document.get("errno", 0),
        document.get("final_regs", {}),
        {item["addr"]: bytes.fromhex(item["data"]) for item in document.get("memory", ())},
        {name: data.encode("latin-1") for name, data in document.get("output", {}).items()},
        Ending(document.get("ended", "")),
        document.get("refused", ""),
        _unmodelled(document.get("not_modelled")),
        tuple(_read_entries(document.get("entries", ()))),
        _reg_list(document.get("reg_list")),
        document.get("asked", 0),
        tuple(map(decode_deed, document.get("after", ()))),
        document.get("left", 0),
    )


def _reg_list(ids: Sequence[int] | None) -> tuple[int, ...] | None:
    if ids is None:
        return None
    _number(ids, "reg_list")
    return tuple(ids)


def _read_entries(entries: Sequence[Json]) -> Iterator[Entry]:
    debug, breakpoints = GuestDebug(), frozenset[int]()
    exits = 0
    for entry in entries:
        if "debug" in entry:
            debug = decode(GuestDebug, entry["debug"])
        if "breakpoints" in entry:
            _number(entry["breakpoints"], "breakpoints")
            breakpoints = frozenset(entry["breakpoints"])
        exit_, pc, kicked = entry["exit"], entry["pc"], entry.get("kicked", False)
        _number([pc, 0 if exit_ is None else exit_], "entries")
        if exit_ is not None:
            if exit_ != exits:
                raise TypeError(f"exit {exits} is missing from its entries")
            exits += 1
        if not isinstance(kicked, bool):
            raise TypeError("kicked is not true or false")
        did = tuple(map(decode_deed, entry.get("did", ())))
        inside = _read_inside(entry["inside"]) if "inside" in entry else None
        told = StopReason(entry["told"]) if "told" in entry else None
        yield Entry(exit_, did, pc, debug, breakpoints, kicked, inside, told)


def _read_inside(document: Json) -> Inside:
    ran, completed = document.get("ran"), document.get("completed", False)
    if not isinstance(completed, bool):
        raise TypeError("completed is not true or false")
    _number([value for name, value in document.items() if name not in ("ran", "completed")], "pc")
    _number([] if ran is None else ran, "ran")
    return Inside(**{**document, "ran": None if ran is None else tuple(ran)})


def _unmodelled(document: Json | None) -> Unmodelled | None:
    return None if document is None else Unmodelled(**document)


def _exit(document: Json) -> Exit:
    for name, value in document.items():
        _SHAPES.get(name, _number)(value, name)
    return Exit(
        document["exit"],
        document["ret"],
        document.get("errno", 0),
        document["pc"],
        {name: value for name, value in document.items() if name not in _HEAD},
        document["regs"],
    )


def ring_from_json(document: Json | None) -> Ring | None:
    """The ring that :meth:`vcpu_scenario.trace.Ring.to_json` wrote."""
    if document is None:
        return None
    _number([document["first"], document["last"]], "ring")
    _number([entry[key] for entry in document["entries"] for key in ("addr", "len")], "ring")
    entries = (
        RingEntry(entry["addr"], entry["len"], bytes.fromhex(entry["data"]))
        for entry in document["entries"]
    )
    return Ring(document["first"], document["last"], tuple(entries))


def _number(value: Any, name: str) -> None:
    numbers = value if isinstance(value, list) else [value]
    if not all(type(number) is int and abs(number) < 1 << 128 for number in numbers):
        raise TypeError(f"{name} is no number")


def _registers(value: Any, name: str) -> None:
    for number in value.values():
        _number([number], name)


def _text(value: Any, name: str) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text")


def _bytes(value: Any, name: str) -> None:
    if isinstance(value, str):
        bytes.fromhex(value)
    else:
        _number(value, name)


def _texts(value: Any, name: str) -> None:
    for text in value:
        _text(text, name)


_SHAPES: Final[Mapping[str, Callable[[Any, str], None]]] = {
    "exit": _text,
    "regs": _registers,
    "data": _bytes,
    "rules": _texts,
}
"""Of the fields of an exit that are not numbers."""
