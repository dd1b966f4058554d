"""What a JSON report of ``scenario run`` looks like, as far as it is read again."""

from __future__ import annotations

from typing import Any, Final

from vcpu_scenario.interchange.shapes import Check, hex, integer, list_of, map_of, of_type, record
from vcpu_scenario.running.shards import MOST

_MOST_CASES: Final = 1 << 32
_TEXT: Final = of_type(str, "text")
_ANY: Final = of_type(object, "anything")
_NUMBER: Final = integer(-(1 << 64), 1 << 128)
_COUNT: Final = integer(high=_MOST_CASES)


def _or_null(check: Check) -> Check:
    return lambda value, where: None if value is None else check(value, where)


_REGISTERS: Final = map_of(_TEXT, _NUMBER)
_EXIT: Final = record(
    {"exit": _TEXT, "ret": _NUMBER, "pc": _NUMBER, "regs": _REGISTERS}, {"errno": _NUMBER}
)
_RULE: Final = record({"name": _TEXT})
_RING: Final = record(
    {
        "first": integer(),
        "last": integer(),
        "entries": list_of(record({"addr": integer(), "len": integer(), "data": hex})),
    }
)
_CASE: Final = record(
    {
        "id": _TEXT,
        "scenario": _TEXT,
        "kernel": _TEXT,
        "vmm": _TEXT,
        "verdict": _TEXT,
        "exits": list_of(_EXIT),
        "mismatches": list_of(record({"rules": list_of(_RULE)})),
    },
    {
        "params": map_of(_TEXT, _ANY),
        "reason": _TEXT,
        "causes": list_of(record({"rules": list_of(_TEXT), "exit": _or_null(integer())})),
        "error": _TEXT,
        "errno": integer(),
        "ended": _TEXT,
        "refused": _TEXT,
        "not_modelled": record({"what": _TEXT, "pc": _or_null(integer())}),
        "eventfd": list_of(integer()),
        "ring": _RING,
        "memory": list_of(record({"addr": integer(), "data": hex})),
        "final_regs": _REGISTERS,
        "output": map_of(_TEXT, _TEXT),
        "entries": list_of(record({"exit": _or_null(integer()), "pc": _NUMBER})),
        "reg_list": list_of(integer()),
        "after": list_of(map_of(_TEXT, _ANY)),
    },
)
_SHARD: Final = record(
    {
        "number": integer(1, MOST),
        "of": integer(1, MOST),
        "cases": _COUNT,
        "digest": _TEXT,
        "positions": list_of(_COUNT),
    }
)
_REPORT: Final = record(
    {
        "cases": of_type(list, "a list"),
        "summary": record({"total": _COUNT, "not_run": _COUNT}),
    },
    {"shard": _SHARD},
)


def check(document: Any) -> None:
    """Raises :class:`vcpu_scenario.interchange.shapes.BadShape`, with the place, where ``document``
    is no such report."""
    _REPORT(document, "")
    for number, case in enumerate(document["cases"]):
        name = case.get("id") if isinstance(case, dict) else None
        named = f" ({name[:60]})" if isinstance(name, str) else ""
        _CASE(case, f"cases[{number}]{named}")
