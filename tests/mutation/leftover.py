"""What is left of conditions in one case, by a reading of its own, after docs/language.md."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from vcpu_scenario.kernels.release import WORDS
from vcpu_scenario.vmm.vmms import VMMS

Plain = dict[str, Any]
CONDITIONS: Final = ("kernels", "vmm", "when")
_TERM: Final = re.compile(r"(>=|<=|>|<)?\s*v?(\d+)\.(\d+)\Z")
_NO_VALUE: Final = object()


class Wrong(Exception):
    """A value that is said to be there for a case is not, or more than one is."""


class Place(NamedTuple):
    """A case, as its names say."""

    kernel: str
    vmm: str
    params: Plain


def within(text: str | list[str], kernel: str) -> bool:
    """Whether a range has a kernel, read as docs/language.md has it."""
    if isinstance(text, list):
        return any(within(one, kernel) for one in text)
    if text in WORDS:
        return kernel in WORDS[text]
    if ".." in text:
        low, high = (number(end) for end in text.split(".."))
        return low <= number(kernel) <= high
    return all(_bound(term, number(kernel)) for term in re.sub(r"([<>]=?)\s*", r"\1", text).split())


def _bound(term: str, number: tuple[int, int]) -> bool:
    found = _TERM.match(term)
    if found is None:
        return False  # a variant, which no plain release is
    bound = int(found[2]), int(found[3])
    return {
        ">=": number >= bound,
        "<=": number <= bound,
        ">": number > bound,
        "<": number < bound,
        None: number == bound,
    }[found[1]]


def number(name: str) -> tuple[int, int]:
    major, _, minor = name.strip().removeprefix("v").partition(".")
    return int(major), int(minor)


def _is_for(body: Plain, place: Place) -> bool:
    """Whether ``kernels``, ``vmm`` and ``when`` of an exit or a clause are for a case."""
    vmm, when = body.get("vmm", place.vmm), body.get("when", {})
    return (
        within(body.get("kernels", place.kernel), place.kernel)
        and place.vmm in ([vmm] if isinstance(vmm, str) else vmm)
        and all(
            place.params.get(name) in (values if isinstance(values, list) else [values])
            for name, values in when.items()
        )
    )


def _key_is_for(key: str, place: Place) -> bool:
    words = [word.strip() for word in key.split(",")]
    if any(word in VMMS for word in words):
        return place.vmm in words
    name, equals, values = key.partition("=")
    if equals and re.fullmatch(r"[A-Za-z_]\w*", name):
        return str(place.params.get(name)) in [value.strip() for value in values.split(",")]
    return within(words, place.kernel)


def _left_of(value: Any, place: Place) -> Any:
    """What is left of a value that may be one by case."""
    if not isinstance(value, dict) or value.keys() <= {"least", "most"}:
        return value
    fitting = [each for key, each in value.items() if key != "else" and _key_is_for(key, place)]
    if len(fitting) > 1 or not (fitting or "else" in value):
        raise Wrong(f"{len(fitting)} values of {value} for {place}")
    found = fitting[0] if fitting else value["else"]
    return _NO_VALUE if found is None else _left_of(found, place)


def _values(mapping: Plain, place: Place) -> Plain:
    left = {key: _left_of(value, place) for key, value in mapping.items()}
    return {key: value for key, value in left.items() if value is not _NO_VALUE}


def _body(body: Any, place: Place) -> Any:
    """An exit or a stop in one case; no value where it does not come."""
    if not isinstance(body, dict):
        return body
    if not _is_for(body, place):
        return _NO_VALUE
    plain = {key: value for key, value in body.items() if key not in (*CONDITIONS, "note")}
    regs = plain.pop("regs", None)
    left = _values(plain, place)
    if "then" in left:
        left["then"] = [
            {k: _left_of(v, place) if k == "errno" else v for k, v in action.items()}
            for action in left["then"]
        ]
        left["then"] = [
            {k: v for k, v in action.items() if v is not _NO_VALUE} for action in left["then"]
        ]
    if regs is not None and (values := _values(regs, place)):
        left["regs"] = values
    return left


def _kept(items: list[Any], place: Place) -> list[Any]:
    left = []
    for item in items:
        if (
            isinstance(item, dict)
            and len(item) == 1
            and isinstance(next(iter(item.values())), dict)
        ):
            ((kind, body),) = item.items()
            found = _body(body, place)
            left += [] if found is _NO_VALUE else [{kind: found}]
        else:
            left.append(item)
    return left


def _flat_clause(clause: Plain, place: Place) -> Plain:
    left = {k: v for k, v in clause.items() if k not in (*CONDITIONS, "about")}
    for key in ("exits", "never"):
        if key in left:
            left[key] = _kept(left[key], place)
    if "stops" in left:
        stops = (_body(stop, place) for stop in left["stops"])
        left["stops"] = [stop for stop in stops if stop is not _NO_VALUE]
    if "refused" in left:
        left["refused"] = _values(left["refused"], place)
    if "final" in left:
        left["final"] = {key: _final(key, value, place) for key, value in left["final"].items()}
        # An empty ring is one that has no entry, and nothing else says anything if it is empty.
        left["final"] = {
            key: value for key, value in left["final"].items() if value or key == "ring"
        }
    # Where all of it is for other cases nothing is left to be there never.
    return {key: value for key, value in left.items() if value or key not in ("never", "final")}


def _final(key: str, value: Any, place: Place) -> Any:
    if key == "memory":
        whole = [(item, _values(item, place)) for item in value]
        return [left for item, left in whole if len(left) == len(item)]
    if key == "ring":
        entries = (_body(entry, place) for entry in value)
        return [entry for entry in entries if entry is not _NO_VALUE]
    return _values(value, place)


def flat(document: Plain, place: Place) -> Plain:
    """The scenario for one case alone, without any condition."""
    left = {key: value for key, value in document.items() if key not in ("kernels", "vmm")}
    left |= {"kernels": place.kernel, "vmm": place.vmm}
    if place.params:
        left["matrix"] = [place.params]
    clause = next((each for each in document["expect"] if _is_for(each, place)), None)
    left["expect"] = [_flat_clause(clause, place)] if clause is not None else []
    return left
