"""``msgspec.structs``, as far as the agent uses it."""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, replace
from typing import Any, NamedTuple, get_type_hints

from . import NODEFAULT

__all__ = ["FieldInfo", "asdict", "astuple", "fields", "replace"]


class FieldInfo(NamedTuple):
    name: str
    type: Any
    default: Any
    default_factory: Any


def asdict(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def astuple(record: Any) -> tuple[Any, ...]:
    return tuple(asdict(record).values())


def fields(kind: type) -> tuple[FieldInfo, ...]:
    types = get_type_hints(kind)
    return tuple(
        FieldInfo(
            field.name, types[field.name], _given(field.default), _given(field.default_factory)
        )
        for field in dataclasses.fields(kind)
    )


def _given(default: Any) -> Any:
    return NODEFAULT if default is MISSING else default
