"""``scenario fmt``: a scenario in canonical style, with the proof that it means the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import astuple

from vcpu_scenario.authoring.concrete import read
from vcpu_scenario.authoring.layout import written
from vcpu_scenario.authoring.migrating import with_present_words
from vcpu_scenario.language import Scenario, loads, yaml12
from vcpu_scenario.language.clauses import Clause
from vcpu_scenario.language.nodes import to_plain
from vcpu_scenario.source import InvalidScenario, Span


class MeaningChanged(Exception):
    """The formatter would have changed what a scenario says: a fault of the formatter."""


def formatted(text: str, path: str | Path) -> str:
    """``text``, the content of ``path``, in canonical style.

    Layout is the author's where there is a choice, and so is every comment. What the text means
    is the same before and after: its YAML is compared, and where it is a valid scenario its cases
    are. Raises :class:`vcpu_scenario.source.InvalidScenario` for what is not YAML,
    :class:`vcpu_scenario.authoring.concrete.Unusual` for what has no canonical form, and
    :class:`MeaningChanged`.
    """
    events: list[Any] = []
    node, faults = yaml12.parse(text, str(path), events)
    if node is None or faults:
        raise InvalidScenario(faults)
    worded = with_present_words(text, node)
    result = written(read(worded, events if worded == text else None))
    if result != text:
        if _plain(worded) != _plain(result):
            raise MeaningChanged("the values are not the same")
        if _comments(text) != _comments(result):
            raise MeaningChanged("the comments are not the same")
        _check(text, result, Path(path))
    return result


def _check(before: str, after: str, path: Path) -> None:
    try:
        scenario = loads(before, path)
    except InvalidScenario:
        return
    try:
        again = loads(after, path)
    except InvalidScenario as invalid:
        raise MeaningChanged(f"the scenario is not valid any more: {invalid}") from None
    if meaning(scenario) != meaning(again):
        raise MeaningChanged("the cases are not the same")


def meaning(scenario: Scenario) -> Any:
    """What a scenario says, as something that compares equal however it is written."""
    clauses: dict[int, Any] = {}

    def of_clause(clause: Clause | None) -> Any:
        if id(clause) not in clauses:
            clauses[id(clause)] = without_places(clause)
        return clauses[id(clause)]

    names = ("path", "name", "title", "about", "tags", "origin", "vmms", "kernels", "sources")
    whole = (*(getattr(scenario, name) for name in names), scenario.audience.hosts)
    cases = {place.id: of_clause(place.clause) for place in scenario.places()}
    alone = [
        without_places(combination._replace(clauses=())) for combination in scenario.combinations
    ]
    return whole, cases, alone


def _plain(text: str) -> Any:
    node, faults = yaml12.parse(text, "")
    if node is None or faults:
        raise MeaningChanged("the result cannot be read")
    return to_plain(node)


def _comments(text: str) -> Counter[str]:
    return Counter(comment.text for comment in read(text).comments)


def without_places(value: Any) -> Any:
    """``value`` as something that compares equal wherever in a file it was written."""
    if isinstance(value, Span):
        return None
    if isinstance(value, Mapping):
        return [(key, without_places(item)) for key, item in value.items()]
    if isinstance(value, Struct):
        return type(value), [without_places(part) for part in astuple(value)]
    if isinstance(value, tuple | list):
        return type(value), [without_places(item) for item in value]
    return value
