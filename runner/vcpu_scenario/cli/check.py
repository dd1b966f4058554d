"""``scenario check`` and ``scenario list``: what there is, without running it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from vcpu_scenario.cli.loading import count, made_of_each
from vcpu_scenario.cli.nothing import NO_CASE, NO_SCENARIO
from vcpu_scenario.cli.output import complain, say
from vcpu_scenario.cli.status import Status
from vcpu_scenario.host.printable import json_text, printable
from vcpu_scenario.running.select import Choice, Selection

if TYPE_CHECKING:
    from vcpu_scenario.language import Scenario
    from vcpu_scenario.language.model import Place

Write: TypeAlias = Callable[["Scenario", "Sequence[Place]"], str]


def check(paths: Sequence[str]) -> Status:
    """Loads every scenario and tells what is wrong with any."""
    cases = made_of_each(paths, _count, strictly=True)
    if not cases:
        complain(NO_SCENARIO)
        return Status.NOTHING_SELECTED
    say(f"{count(len(cases), 'scenario')}, {count(sum(cases), 'case')}: no errors\n")
    return Status.OK


def _count(scenario: Scenario) -> int:
    return sum(1 for _ in scenario.places())


def list_cases(paths: Sequence[str], selection: Selection, report: str) -> Status:
    """Prints the id of every case that a run with the same arguments would run."""
    is_json = report == "json"
    write = _items if is_json else _ids
    found = made_of_each(paths, partial(_packed, selection.choice(), write))
    texts = (zlib.decompress(packed).decode() for packed in found if packed)
    for text in _joined(texts) if is_json else texts:
        say(text)
    if not any(found):
        complain(NO_CASE if found else NO_SCENARIO)
        return Status.NOTHING_SELECTED
    return Status.OK


def _packed(choice: Choice, write: Write, scenario: Scenario) -> bytes:
    """What is to be told of the scenario's cases, small: nothing is told before all are loaded,
    and there may be many."""
    places = list(choice.places(scenario))
    return zlib.compress(write(scenario, places).encode(), 1) if places else b""


def _ids(scenario: Scenario, places: Sequence[Place]) -> str:
    return "".join(f"{printable(place.id)}\n" for place in places)


def _items(scenario: Scenario, places: Sequence[Place]) -> str:
    """The items of a JSON list, without its brackets."""
    return json_text([_item(scenario, place) for place in places]).strip().strip("[]").strip("\n")


def _joined(texts: Iterator[str]) -> Iterator[str]:
    """The list that has all these items."""
    before = "[\n"
    for text in texts:
        yield before + text
        before = ",\n"
    yield "\n]\n" if before == ",\n" else "[]\n"


def _item(scenario: Scenario, place: Place) -> dict[str, Any]:
    return {
        "id": place.id,
        "scenario": str(scenario.path),
        "title": scenario.title,
        "tags": list(scenario.tags),
        "kernel": place.kernel,
        "vmm": place.vmm,
        "params": dict(place.combination.params),
    }
