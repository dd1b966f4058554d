"""Shapes of JSON values, as checks that are put together of others. Standard library only."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, TypeAlias

from vcpu_scenario.kvm.registers import reg_id

Check: TypeAlias = Callable[[Any, str], None]
"""Takes a value and its place in the document; raises :class:`BadShape`."""


ignored: ContextVar[Counter[str] | None] = ContextVar("ignored", default=None)
"""Counts keys of which nothing is known, by their places without numbers."""


class BadShape(ValueError):
    """The document is not so; the message says where, and what was expected there."""


def fail(where: str, expected: str, value: Any) -> BadShape:
    shown = json.dumps(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return BadShape(f"{where or 'the document'}: expected {expected}, found {shown}")


def integer(low: int = 0, high: int = (1 << 64) - 1) -> Check:
    def check(value: Any, where: str) -> None:
        if type(value) is not int or not low <= value <= high:
            raise fail(where, f"an integer from {low} to {high:#x}", value)

    return check


def of_type(kind: type | tuple[type, ...], expected: str) -> Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, kind):
            raise fail(where, expected, value)

    return check


def one_of(*choices: Any) -> Check:
    def check(value: Any, where: str) -> None:
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            raise fail(where, f"one of {', '.join(map(str, choices))}", value)

    return check


def list_of(item: Check, most: int = 1 << 20) -> Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, list) or len(value) > most:
            raise fail(where, f"a list of at most {most}" if most < 1 << 20 else "a list", value)
        for number, element in enumerate(value):
            item(element, f"{where}[{number}]")

    return check


def record(
    required: Mapping[str, Check],
    optional: Mapping[str, Check] | None = None,
    *,
    more: bool = False,
) -> Check:
    """An object; keys that are not known here count as :data:`ignored`, unless there may be
    ``more``."""
    known = {**required, **(optional or {})}

    def check(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise fail(where, "an object", value)
        for name in required:
            if name not in value:
                raise fail(where, f"a key `{name}`", value)
        for name, element in value.items():
            # Null is as good as not there, where that is good.
            if name in known and (element is not None or name in required):
                known[name](element, f"{where}.{name}" if where else name)
            elif name not in known and not more and (counted := ignored.get()) is not None:
                counted[re.sub(r"\[\d+\]", "[]", f"{where}.{name}" if where else name)] += 1

    return check


def map_of(key: Check, item: Check) -> Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise fail(where, "an object", value)
        for name, element in value.items():
            key(name, where)
            item(element, f"{where}.{name}")

    return check


def number_text(base: int) -> Check:
    def check(value: Any, where: str) -> None:
        try:
            number = int(value, base)
        except ValueError:
            number = -1
        if not 0 <= number < 1 << 64:
            raise fail(where, "a number as a key", value)

    return check


def register(value: Any, where: str) -> None:
    if not isinstance(value, str) or reg_id(value) is None:
        raise fail(where, "the name of a register", value)


def hex(value: Any, where: str) -> None:
    try:
        bytes.fromhex(value)
    except (TypeError, ValueError):
        raise fail(where, "bytes in hexadecimal", value) from None


def name(value: Any, where: str) -> None:
    if not isinstance(value, str) or not value.isprintable() or len(value) > 200:
        raise fail(where, "a name that can be shown", value)


def seconds(value: Any, where: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 60:
        raise fail(where, "seconds, more than 0 and at most 60", value)
