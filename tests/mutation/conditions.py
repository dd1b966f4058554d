"""Conditions changed at random: each case is compared with what is left of them in it."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from random import Random

from vcpu_scenario.api import dumps
from vcpu_scenario.language import ScenarioCase
from vcpu_scenario.language.loader import loads
from vcpu_scenario.language.nodes import Map, to_plain
from vcpu_scenario.language.yaml12 import parse
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.running.execute import execute
from vcpu_scenario.source import InvalidScenario

from tests.mutation.brute import holds
from tests.mutation.conditionchanges import SERIES, change
from tests.mutation.leftover import Place, Plain, Wrong, flat
from tests.mutation.search import ROOT, Tally


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
            change(random, changed)
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
        cases = loads(text, path).cases(SERIES)
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
