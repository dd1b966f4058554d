"""Cases and traces as JSON, each value coming back exactly as it went in.

A record is ``{"_": "Memslot", ...}`` with the fields that differ from their defaults, bytes are
``{"_": "bytes", "hex": ...}``, a mapping whose keys are no plain names is
``{"_": "map", "items": [[key, value], ...]}``, a tuple is a list; anything else is JSON as it is.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from vcpu_scenario import case as c
from vcpu_scenario import survey as s
from vcpu_scenario import trace as t

_RECORDS: Final[dict[str, type]] = {
    kind.__name__: kind
    for module in (c, t, s)
    for kind in vars(module).values()
    if isinstance(kind, type) and kind.__module__ == module.__name__
}


def dump_case(case: c.Case) -> str:
    """One line of JSON."""
    return _dump(case)


def load_case(line: str) -> c.Case:
    """Raises ValueError where ``line`` is no case."""
    return _load(line, c.Case)


def dump_trace(trace: t.Trace) -> str:
    """One line of JSON."""
    return _dump(trace)


def load_trace(line: str) -> t.Trace:
    """Raises ValueError where ``line`` is no trace."""
    return _load(line, t.Trace)


def dump_survey(survey: s.Survey) -> str:
    """One line of JSON."""
    return _dump(survey)


def load_survey(line: str) -> s.Survey:
    """Raises ValueError where ``line`` is no survey."""
    return _load(line, s.Survey)


def dump_answers(answers: s.Answers) -> str:
    """One line of JSON."""
    return _dump(answers)


def load_answers(line: str) -> s.Answers:
    """Raises ValueError where ``line`` is no answers."""
    return _load(line, s.Answers)


def _dump(record: object) -> str:
    return json.dumps(encode(record), separators=(",", ":"))


_Record = TypeVar("_Record")


def _load(line: str, kind: type[_Record]) -> _Record:
    try:
        record = decode(json.loads(line))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a {kind.__name__.lower()}: {error}") from error
    if not isinstance(record, kind):
        raise ValueError(f"not a {kind.__name__.lower()}")
    return record


def encode(value: Any) -> Any:
    """``value`` as plain JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _record(value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        fields = value._asdict()
        return {"_": type(value).__name__, **{name: encode(item) for name, item in fields.items()}}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, bytes):
        return {"_": "bytes", "hex": value.hex()}
    if isinstance(value, Mapping):
        return _mapping(value)
    return value


def _record(value: Any) -> dict[str, Any]:
    out: dict[str, Any] = {"_": type(value).__name__}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if field.default is dataclasses.MISSING or item != field.default:
            out[field.name] = encode(item)
    return out


def _mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    plain = all(
        isinstance(key, str) and key != "_" and not isinstance(item, bytes)
        for key, item in value.items()
    )
    if plain:
        return dict(value)
    return {"_": "map", "items": [[encode(key), encode(item)] for key, item in value.items()]}


def decode(value: Any) -> Any:
    """The reverse of :func:`encode`; raises KeyError or TypeError for what it never makes."""
    if isinstance(value, list):
        return tuple(decode(item) for item in value)
    if not isinstance(value, dict) or "_" not in value:
        return value
    fields = dict(value)
    kind = fields.pop("_")
    if kind == "bytes":
        return bytes.fromhex(fields["hex"])
    if kind == "map":
        return {decode(key): decode(item) for key, item in fields["items"]}
    return _RECORDS[kind](**{name: decode(item) for name, item in fields.items()})
