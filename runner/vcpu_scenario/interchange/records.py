"""Records as JSON: an object of its fields, those with their default value left out.

What a VMM does says in ``do`` which deed it is; bytes are hexadecimal, or packed where they are a
kernel's worth; a tuple is a list. Standard library and records only.
"""

from __future__ import annotations

import base64
import json
import math
import types
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeVar, get_args, get_origin

from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

import vcpu_scenario.case as records
from vcpu_scenario.case import Action
from vcpu_scenario.ioctls.attributes import DeviceAttr
from vcpu_scenario.ioctls.vcpu import Watchpoint
from vcpu_scenario.trace import Deed

_DEEDS: Final[Mapping[str, type]] = {kind.__name__: kind for kind in get_args(Deed)}
_MARK: Final = "do"
_PACKED: Final = "zlib:"
_WORTH_PACKING: Final = 1 << 20
"""Bytes from which on they are packed: hexadecimal doubles what a kernel's image has."""
_MOST_UNPACKED: Final = 256 << 20
"""Bytes: all the contents that a scenario may have."""


def one_line(document: Any) -> str:
    """A document as one line of JSON."""
    return json.dumps(document, separators=(",", ":"))


def encode(record: Any) -> dict[str, Any]:
    """The record as what :func:`json.dumps` takes."""
    out: dict[str, Any] = {_MARK: type(record).__name__} if type(record) in _KINDS else {}
    for name, default in _DEFAULTS[type(record)].items():
        value = getattr(record, name)
        if value != default:
            out[name] = _encode(value)
    return out


_Record = TypeVar("_Record")


def decode(kind: type[_Record], document: Mapping[str, Any]) -> _Record:
    """The record that :func:`encode` wrote; raises ValueError where it did not."""
    try:
        record: _Record = _decode_record(kind, document)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a {kind.__name__.lower()}: {error}") from error
    return record


def decode_deed(document: Mapping[str, Any]) -> Deed:
    """The same for what a VMM did."""
    try:
        return decode(_DEEDS[document[_MARK]], document)
    except (TypeError, KeyError) as error:
        raise ValueError(f"nothing that a VMM does: {error}") from error


_KINDS: Final = frozenset(_DEEDS.values())


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct) and kind is not Struct


def _default(field: FieldInfo) -> Any:
    """``NODEFAULT`` where there is none."""
    made = field.default_factory
    return made() if made is not NODEFAULT else field.default


def _encode(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    if isinstance(value, bytes):
        return _encode_bytes(value)
    return encode(value) if isinstance(value, Struct) else value


def _encode_bytes(value: bytes) -> str:
    if len(value) < _WORTH_PACKING:
        return value.hex()
    return _PACKED + base64.b64encode(zlib.compress(value, 1)).decode()


def _decode_bytes(text: str) -> bytes:
    if not text.startswith(_PACKED):
        return bytes.fromhex(text)
    unpacker = zlib.decompressobj()
    packed = base64.b64decode(text.removeprefix(_PACKED), validate=True)
    try:
        data = unpacker.decompress(packed, _MOST_UNPACKED + 1)
    except zlib.error as error:
        raise ValueError(f"bytes that cannot be unpacked: {error}") from error
    if len(data) > _MOST_UNPACKED or not unpacker.eof:
        raise ValueError(f"bytes that cannot be unpacked: cut short, or over {_MOST_UNPACKED:,}")
    return data


Decode = Callable[[Any], Any]


def _decode_record(kind: type, document: Mapping[str, Any]) -> Any:
    decoders = _DECODERS[kind]
    given = {name: value for name, value in document.items() if name != _MARK}
    return kind(**{name: decoders[name](value) for name, value in given.items()})


def _decoder(hint: Any) -> Decode:
    if hint is bytes:
        return _decode_bytes
    if hint == Action:
        return lambda value: _decode_record(_DEEDS[value[_MARK]], value)
    if _is_record(hint):
        return lambda value: _decode_record(hint, value)
    if get_origin(hint) is tuple:
        return _tuple_decoder(get_args(hint))
    if get_origin(hint) is types.UnionType:
        return _optional_decoder(get_args(hint))
    if get_origin(hint) is Literal:
        return _choice_decoder(get_args(hint))
    return _plain_decoder(hint)


def _plain_decoder(kind: type) -> Decode:
    kinds = (int, float) if kind is float else (kind,)

    def decode_plain(value: Any) -> Any:
        # JSON as Python reads it has NaN and infinities, and no limit is one.
        if type(value) not in kinds or (kind is float and not _is_finite(value)):
            raise TypeError(f"{value!r:.40} is no {kind.__name__}")
        return value

    return decode_plain


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float holds
        return False


def _choice_decoder(choices: tuple[Any, ...]) -> Decode:
    def decode_choice(value: Any) -> Any:
        if value not in choices:
            raise TypeError(f"{value!r:.40} is none of {choices}")
        return value

    return decode_choice


def _tuple_decoder(parts: tuple[Any, ...]) -> Decode:
    if parts[-1] is Ellipsis:
        decode = _decoder(parts[0])
        return lambda value: tuple(map(decode, value))
    decoders = tuple(map(_decoder, parts))
    return lambda value: tuple(decode(item) for decode, item in zip(decoders, value, strict=True))


def _optional_decoder(parts: tuple[Any, ...]) -> Decode:
    (inner,) = (part for part in parts if part is not type(None))
    decode = _decoder(inner)
    return lambda value: None if value is None else decode(value)


_RECORDS: Final = {
    kind for kind in (*vars(records).values(), *_KINDS, DeviceAttr, Watchpoint) if _is_record(kind)
}
_DEFAULTS: Final = {
    kind: {field.name: _default(field) for field in fields(kind)} for kind in _RECORDS
}
_DECODERS: Final = {
    kind: {field.name: _decoder(field.type) for field in fields(kind)} for kind in _RECORDS
}
