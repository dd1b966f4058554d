"""Conditions changed at random, and a reading of its own of what is left of them in one case."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from vcpu_scenario.api import dumps
from vcpu_scenario.kernels.release import KNOWN_RELEASES, WORDS
from vcpu_scenario.language import ScenarioCase
from vcpu_scenario.language.loader import loads
from vcpu_scenario.language.nodes import Map, to_plain
from vcpu_scenario.language.yaml12 import parse
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.running.execute import execute
from vcpu_scenario.source import InvalidScenario
from vcpu_scenario.vmm.vmms import VMMS

from tests.mutation.brute import holds
from tests.mutation.search import ROOT, Tally

Plain = dict[str, Any]

_SERIES: Final = [name for name in KNOWN_RELEASES if re.fullmatch(r"\d+\.\d+", name)]
_CONDITIONS: Final = ("kernels", "vmm", "when")
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
        low, high = (_number(end) for end in text.split(".."))
        return low <= _number(kernel) <= high
    return all(
        _bound(term, _number(kernel)) for term in re.sub(r"([<>]=?)\s*", r"\1", text).split()
    )


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


def _number(name: str) -> tuple[int, int]:
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
    plain = {key: value for key, value in body.items() if key not in (*_CONDITIONS, "note")}
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
    left = {k: v for k, v in clause.items() if k not in (*_CONDITIONS, "about")}
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


def conditions(seed: int, count: int) -> Tally:
    """Changes conditions of ``count`` shipped scenarios, and holds one case of each to what is left
    of them by a reading of its own: the same expectation, and the verdict of the plain judge."""
    tally = Tally(wrong=[])
    assert tally.wrong is not None
    for number in range(seed, seed + count):
        random = Random(number)
        path, document = random.choice(_documents())
        changed = deepcopy(document)
        for _ in range(random.choice((1, 1, 2, 3))):
            _change(random, changed)
        case = _a_case(random, dumps(changed), path)
        if case is None:
            continue  # refused, as most conditions that tell no cases apart are
        tally.tried += 1
        place = Place(case.kernel, case.vmm, dict(case.params))
        try:
            fault = _judged(case, flat(changed, place), path)
        except Wrong as wrong:
            fault = str(wrong)
        except InvalidScenario as invalid:
            fault = _only_there(invalid)
        if isinstance(fault, str):
            tally.wrong.append(f"seed {number}: {case.id}: {fault}")
        else:
            tally.false += fault
    return tally


def _only_there(invalid: InvalidScenario) -> bool | str:
    """What is wrong with what is left of a scenario; nothing where it is done in other cases."""
    faults = {found.message for found in invalid.diagnostics} - {"this is never done"}
    return f"what is left of it is invalid: {', '.join(faults)}" if faults else False


def _a_case(random: Random, text: str, path: Path) -> ScenarioCase | None:
    try:
        cases = loads(text, path).cases(_SERIES)
    except InvalidScenario:
        return None
    held = [case for case in cases if case.expectation is not None]
    return random.choice(held) if held else None


def _judged(case: ScenarioCase, left: Plain, path: Path) -> bool | str:
    """Whether the case must not pass; what is wrong where it is not as it should be."""
    (own,) = loads(dumps(left), path, conditions=False).cases([case.kernel])
    result, plain = execute(case, create), execute(own, create)
    if result.trace != plain.trace:
        return "it runs otherwise than what is left of it"
    if result.trace is None or plain.trace is None:
        return False if result.verdict == plain.verdict else f"{result.verdict}: {result.reason}"
    assert own.expectation is not None
    right = holds(own.expectation, plain.trace, plain.stops)
    return not right if (result.verdict == "pass") == right else result.verdict.value


@cache
def _documents() -> tuple[tuple[Path, Plain], ...]:
    """The shipped scenarios that say what is expected, as plain values; those that name hosts, of
    which the judge knows nothing, are left out."""
    return tuple(_read())


def _read() -> Iterator[tuple[Path, Plain]]:
    for folder in ("scenarios", "docs/examples"):
        for path in sorted((ROOT / folder).rglob("*.vcpu.yaml")):
            text = path.read_text()
            if "host:" in text or "+cortex-a76" in text:
                continue
            node, faults = parse(text, str(path))
            assert not faults
            if isinstance(node, Map) and node.get("expect") is not None:
                document = to_plain(node)
                for clause in document["expect"]:
                    clause.pop("xfail", None)
                yield path, document


def _a_range(random: Random) -> str | list[str]:
    low, high = sorted(random.sample(_SERIES, 2), key=_number)
    return random.choice(
        (
            f">={low}",
            f"<{high}",
            f"{low}..{high}",
            f">={low} <{high}",
            low,
            [f"<{low}", f">={high}"],
            "lts",
        )
    )


def _bodies(clause: Plain) -> Iterator[tuple[list[Any] | Plain, Any]]:
    """(where it is, under which key) of each exit, stop and entry of the ring."""
    for item in (*clause.get("exits", ()), *clause.get("never", ())):
        if isinstance(item, dict):
            yield from ((item, key) for key, body in item.items() if isinstance(body, dict))
    for key in ("stops",):
        yield from ((clause[key], n) for n in range(len(clause.get(key, ()))))
    ring = clause.get("final", {}).get("ring", ())
    yield from ((ring, n) for n in range(len(ring)))


def _places(clause: Plain) -> Iterator[tuple[Plain, str]]:
    """(mapping, key) of each value that may be one by case."""
    for owner, key in _bodies(clause):
        body = owner[key]
        if isinstance(body, dict):
            kept = (*_CONDITIONS, "note", "then", "regs", "repeat")
            yield from ((body, name) for name in body if name not in kept)
            regs = body.get("regs", {})
            yield from ((regs, name) for name in regs)
    for key in ("regs", "eventfd", "output"):
        values = clause.get("final", {}).get(key, {})
        yield from ((values, name) for name in values)


def _change(random: Random, document: Plain) -> None:
    clauses = [each for each in document["expect"] if isinstance(each, dict)]
    clause = random.choice(clauses)
    match random.randrange(6):
        case 0:
            clause["kernels"] = _a_range(random)
        case 1 | 2 if bodies := list(_bodies(clause)):
            _change_body(random, *random.choice(bodies))
        case _ if places := list(_places(clause)):
            _change_value(random, *random.choice(places))


def _change_body(random: Random, owner: Any, key: Any) -> None:
    body = owner[key]
    if not isinstance(body, dict):
        body = owner[key] = {"at": body}
    match random.randrange(4):
        case 0 if any(name in body for name in _CONDITIONS):
            body.pop(random.choice([name for name in _CONDITIONS if name in body]))
        case 1:
            body["vmm"] = random.choice((["plain"], ["qemu"], ["qemu", "plain"]))
        case _:
            body["kernels"] = _a_range(random)


def _change_value(random: Random, owner: Plain, key: str) -> None:
    value = owner[key]
    if isinstance(value, dict) and value and random.randrange(2):
        by_case = list(value)
        match random.randrange(3):
            case 0:
                value.pop(random.choice(by_case))
            case 1:
                first, second = random.choice(by_case), random.choice(by_case)
                value[first], value[second] = value[second], value[first]
            case _:
                range_ = _a_range(random)
                old = value.pop(random.choice(by_case))
                value[range_ if isinstance(range_, str) else ", ".join(range_)] = old
        return
    range_ = _a_range(random)
    name = range_ if isinstance(range_, str) else ", ".join(range_)
    other = random.choice((None, value, _other(value), _other(value)))
    first, second = random.choice(((value, other), (other, value)))
    owner[key] = {random.choice((name, name, name, "plain")): first, "else": second}


def _other(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return value
    if isinstance(value, int):
        return value ^ 1
    return f"{value}+4" if re.fullmatch(r"[A-Za-z_]\w*", value) else value
