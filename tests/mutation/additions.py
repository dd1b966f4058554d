"""Adds to a shipped scenario one thing that is false, impossible or empty: where a case has it, the
case must not pass, and mostly it is an error before anything runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

from vcpu_scenario.api import dumps
from vcpu_scenario.language import Scenario, ScenarioCase
from vcpu_scenario.language.loader import loads
from vcpu_scenario.language.nodes import Map, to_plain
from vcpu_scenario.language.yaml12 import parse
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.running.execute import execute
from vcpu_scenario.source import InvalidScenario

from tests.mutation.search import KERNELS, ROOT, Tally

Plain = dict[str, Any]
Add = Callable[[Random, Plain], bool]
"""Adds it to a document; whether there was a place for it."""

_NOWHERE: Final = 0x7777_7770
_FALSE: Final[dict[str, dict[str, Any]]] = {
    "debug": {"hsr": 5, "hsr_high": 7, "far": _NOWHERE, "flags": 0x7777},
    "mmio": {"data_bytes": "77" * 8},
    "system_event": {"ndata": 77, "data": [7, 7, 7], "type": 77},
    "arm_nisv": {"esr_iss": 0x7777, "fault_ipa": _NOWHERE},
    "hypercall": {"nr": 0x7777_7777, "flags": 0x77},
    "interrupted": {"exit": "FAIL_ENTRY"},
    "error": {"errno": "EMFILE"},
    "any": {"exit": "FAIL_ENTRY"},
}
"""What no exit of a shipped scenario has, by its kind."""
_OF_ALL: Final = {
    "pc": _NOWHERE + 1,
    "regs": {"x27": 0x7777_7777_7777},
    "device_irq_level": 0x77,
    "vcpu": 7,
}


def _exits(document: Plain) -> Iterator[tuple[str, Plain]]:
    """The exits that come once in every case that their clause is for."""
    for clause in document["expect"]:
        for item in clause.get("exits", ()):
            ((kind, body),) = item.items()
            if isinstance(body, dict) and not body.keys() & {"repeat", "kernels", "vmm", "when"}:
                yield kind, body


def _claim(random: Random, document: Plain) -> bool:
    found = list(_exits(document))
    if not found:
        return False
    kind, body = random.choice(found)
    key, value = random.choice([*_FALSE[kind].items(), *_OF_ALL.items()])
    if key in body:
        return False
    body[key] = deepcopy(value)
    return True


_ACTIONS: Final[tuple[Plain, ...]] = (
    {"get": {"x27": 0x7777_7777_7777}},
    {"get": {"pc": 0x7777_7771}},
    {"get_mp_state": "suspended"},
    {"get_vcpu_events": {"serror_pending": True, "serror_esr": 0x77}},
    {"check_extension": {"cap": "nr_memslots", "value": 77}},
    {"preferred_target": 77},
    {"get": {"x1": 0}, "errno": "EMFILE"},
    {"set": {"x27": 1}, "errno": "EMFILE"},
    {"restore": "nobody took it"},
    {"signal_irqfd": {"gsi": 777}},
    {"resampled": {"gsi": 777, "count": 1}},
    {"read_ioeventfd": {"at": 0x7777_0000, "len": 4, "count": 0}},
    {"get_dirty_log": {"slot": 77, "pages": []}},
    {"userfaults": {"slot": 77, "pages": [7]}},
    {"has_vgic_attr": {"group": "dist_regs", "attr": 0x7777_7777}},
    {"get_vcpu_attr": {"group": "timer", "attr": 77, "value": 77}},
    {"run_vcpu": 7},
    {"raise": {"spi": 900}},
    {"get_vcpu_events": {"serror_pending": {"<9.0": False, ">=9.0": None}}},
)


def _action(random: Random, document: Plain) -> bool:
    entry: Plain
    action = deepcopy(random.choice(_ACTIONS))
    found = [body for _, body in _exits(document) if isinstance(body.get("then", []), list)]
    match random.randrange(4):
        case 0:
            document["before"] = [*document.get("before", ()), action]
        case 1 if found:
            body = random.choice(found)
            body["then"] = [*body.get("then", ()), action]
        case 2:
            entry = {random.choice(("first", "each")): {"any": {}}, "then": [action]}
            document["on"] = [*document.get("on", ()), entry]
        case _:
            entry = {"nth": 77_777, "of": {"any": {}}, "then": [{"set": {"x27": 1}}]}
            document["on"] = [*document.get("on", ()), entry]
    return True


_FINALS: Final[tuple[Plain, ...]] = (
    {"regs": {"x27": 0x7777_7777_7777}},
    {"regs": {"v31": 0x7777}},
    {"memory": [{"at": 0x4000_0000, "text": "nobody writes this"}]},
    {"memory": [{"at": 0x7777_0000, "words": [0]}]},
    {"ring": [{"at": 0x7777_0000, "len": 4, "data": 0}]},
    {"eventfd": {"nobody": 0}},
    {"output": {"nobody": ""}},
    {"reg_list": {"count": 7}},
    {"reg_list": {"lacks": ["pc"]}},
    {"reg_list": {"has": ["s3_7_c15_c15_7"]}},
    {"regs": {"x27": {"<9.0": None, ">=9.0": 1}}},
)


def _state(random: Random, document: Plain) -> bool:
    clause = random.choice(document["expect"])
    final = deepcopy(random.choice(_FINALS))
    if "refused" in clause or final.keys() & clause.get("final", {}).keys():
        return False
    clause["final"] = clause.get("final", {}) | final
    return True


def _part(random: Random, document: Plain) -> bool:
    clause = random.choice(document["expect"])
    key, value = random.choice(
        (
            ("never", [{"any": {}}]),
            ("never", [{"any": {"vcpu": 7}}]),
            ("never", []),
            ("refused", {"errno": "EMFILE"}),
            ("stops", [_NOWHERE]),
            ("exits", []),
            ("xfail", {"reason": "none", "link": "https://example.org/none"}),
        )
    )
    if key in clause or (key == "exits" and "refused" in clause):
        return False
    clause[key] = deepcopy(value)
    return True


def _idle(random: Random, document: Plain) -> bool:
    """A clause, a value of a parameter, a VMM or a host that no case is for, and what no machine
    runs."""
    first = document["expect"][0]
    at = random.randrange(len(document["expect"]) + 1)
    if not isinstance(first, dict):
        return False
    match random.randrange(8):
        case 0:
            document["expect"].insert(at, {})
        case 1:
            document["expect"].insert(at, {"kernels": ">=9.0", **deepcopy(first)})
        case 2:
            document["expect"].append({"when": {"nobody": [1]}, **deepcopy(first)})
        case 3:
            document["expect"].append({"vmm": "crosvm", "exits": [{"any": {"exit": "MMIO"}}]})
        case 4 if "vcpus" not in document:
            document |= {"vcpus": 2, "vmm": ["plain", "qemu"]}
        case 5 if "matrix" not in document:
            document["matrix"] = {"nobody": [1, 2]}
        case 6:
            first["vmm"] = "nobody"
        case _:
            document["expect"].append(deepcopy(document["expect"][-1]))
    return True


_ADDS: Final[tuple[Add, ...]] = (_claim, _claim, _action, _action, _state, _part, _idle)


def additions(seed: int, count: int) -> Tally:
    """Adds one thing to each of ``count`` shipped scenarios, chosen by seeds from ``seed`` on."""
    tally = Tally(wrong=[])
    assert tally.wrong is not None
    for number in range(seed, seed + count):
        random = Random(number)
        path, document = random.choice(_documents())
        changed = deepcopy(document)
        add = random.choice(_ADDS)
        if not add(random, changed):
            continue
        tally.tried += 1
        try:
            found = loads(dumps(changed), path)
        except InvalidScenario:
            tally.false += 1
            continue
        cases = _affected(found, path)
        passed = [case.id for case in cases if execute(case, create).verdict == "pass"]
        tally.false += not passed
        if passed:
            tally.wrong.append(f"seed {number}: {add.__name__}: {path}: {passed[0]}")
    return tally


def _affected(found: Scenario, path: Path) -> Iterator[ScenarioCase]:
    """The cases that have what was added, on some kernels."""
    whole = _said(path)
    for case in found.cases(KERNELS):
        if case.expectation is not None and _words(case) != whole.get(case.id):
            yield case


def _words(case: ScenarioCase) -> str:
    """All that the case says, wherever it is said."""
    return re.sub(r"Span\([^)]*\)", "", f"{case.case} {case.expectation}")


@cache
def _said(path: Path) -> dict[str, str]:
    document = next(document for other, document in _documents() if other == path)
    return {case.id: _words(case) for case in loads(dumps(document), path).cases(KERNELS)}


@cache
def _documents() -> tuple[tuple[Path, Plain], ...]:
    return tuple(_read())


def _read() -> Iterator[tuple[Path, Plain]]:
    for path in sorted((ROOT / "scenarios").rglob("*.vcpu.yaml")):
        node, _ = parse(path.read_text(), str(path))
        if isinstance(node, Map) and node.get("expect") is not None:
            yield path, to_plain(node)
