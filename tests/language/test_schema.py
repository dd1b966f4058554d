"""The schema itself, and the walk over nodes that holds documents against it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from vcpu_scenario.language import schema, yaml12
from vcpu_scenario.language.nodes import to_plain
from vcpu_scenario.language.problems import Problems

from tests.language.build import EVERYTHING, SMALL

SCHEMA = schema.scenario_schema()
REFEREE = Draft7Validator(SCHEMA)

KNOWN = {
    *("$schema", "$id", "$ref", "title", "description", "default", "examples", "definitions"),
    *("type", "enum", "pattern", "minimum", "maximum", "minLength"),
    *("items", "minItems", "maxItems"),
    *("properties", "additionalProperties", "propertyNames", "required", "dependencies"),
    *("minProperties", "maxProperties"),
}
"""The keywords that the walk knows, beside those that only describe."""


def subschemas(found: Any, path: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, found
    for name in ("properties", "definitions"):
        for key, below in found.get(name, {}).items():
            yield from subschemas(below, f"{path}/{name}/{key}")
    for name in ("items", "additionalProperties", "propertyNames"):
        if isinstance(found.get(name), dict):
            yield from subschemas(found[name], f"{path}/{name}")


ALL = list(subschemas(SCHEMA))


def faults(document: Any) -> Problems:
    node, found = yaml12.parse(json.dumps(document), "made.vcpu.yaml")
    assert node is not None
    assert not found
    problems = Problems()
    schema.check(node, problems)
    return problems


def test_the_schema_is_a_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)


def test_the_walk_knows_every_keyword_that_the_schema_uses() -> None:
    assert {keyword for _, found in ALL for keyword in found} <= KNOWN


def test_every_field_is_described() -> None:
    fields = [
        (path, found)
        for path, found in ALL
        if not path.endswith(("propertyNames", "#/definitions"))
    ]
    assert [path for path, found in fields if not found.get("description")] == []


def test_no_mapping_takes_keys_that_nothing_describes() -> None:
    open_ones = [
        path
        for path, found in ALL
        if "object" in str(found.get("type")) and "additionalProperties" not in found
    ]
    assert open_ones == []


def test_a_variant_is_one_key_and_no_alternative() -> None:
    assert "oneOf" not in json.dumps(SCHEMA)
    # An action beside the errno that it is refused with, a line beside whose it is.
    for name, most in (("exit", 1), ("action", 2), ("interrupt", 2), ("contents", 1)):
        found = SCHEMA["definitions"][name]
        assert (found["minProperties"], found["maxProperties"]) == (1, most)


@pytest.mark.parametrize("text", [EVERYTHING, SMALL])
def test_a_valid_document_has_no_faults(text: str) -> None:
    node, _ = yaml12.parse(text, "made.vcpu.yaml")
    assert node is not None
    problems = Problems()
    assert schema.check(node, problems) is node
    assert not problems
    assert REFEREE.is_valid(to_plain(node))


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(document, dict):
        for key, value in document.items():
            yield from places(value, (*path, key))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from places(value, (*path, index))


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


WHOLE = to_plain(yaml12.parse(EVERYTHING, "made.vcpu.yaml")[0])  # type: ignore[arg-type]
PLACES = list(places(WHOLE))
KEYS = sorted(
    {key for _, found in ALL for key in found.get("properties", {})} | {"", "x0", "0x10", "typo"}
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 1 << 65),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "start", "uart+0x18", "a b", "0x9_0", "1MiB", "${width}", "DEBUG", "00"]),
    st.sampled_from([at(WHOLE, path) for path in PLACES]),
    st.lists(st.integers(0, 9), max_size=8),
    st.dictionaries(st.sampled_from(KEYS), st.integers(0, 9), max_size=3),
)


@st.composite
def mutilated(draw: st.DrawFn) -> Any:
    """The document that says everything, with a few of its places changed."""
    document = {"root": copy.deepcopy(WHOLE)}
    for _ in range(draw(st.integers(1, 3))):
        path = ("root", *draw(st.sampled_from(PLACES)))
        try:
            parent = at(document, path[:-1])
            value = parent[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took this place away
        if not isinstance(parent, dict | list):
            continue
        kind = draw(st.sampled_from(["replace", "delete", "insert"]))
        if kind == "insert" and isinstance(value, dict):
            value[draw(st.sampled_from(KEYS))] = copy.deepcopy(draw(VALUES))
        elif kind == "insert" and isinstance(value, list):
            value.append(copy.deepcopy(draw(VALUES)))
        elif kind == "delete" and len(path) > 1:
            del parent[path[-1]]
        else:
            parent[path[-1]] = copy.deepcopy(draw(VALUES))
    return document["root"]


@pytest.mark.slow
@given(mutilated())
@settings(max_examples=300, deadline=None)
def test_the_walk_finds_fault_exactly_where_jsonschema_does(document: Any) -> None:
    assert bool(faults(document)) == (not REFEREE.is_valid(document))


@pytest.mark.slow
@given(mutilated())
@settings(max_examples=150, deadline=None)
def test_what_the_walk_leaves_is_valid_but_for_what_is_missing(document: Any) -> None:
    node, _ = yaml12.parse(json.dumps(document), "made.vcpu.yaml")
    assert node is not None
    left = schema.check(node, Problems())
    if left is not None:
        errors = [error.validator for error in REFEREE.iter_errors(to_plain(left))]
        assert set(errors) <= {"required", "minProperties", "minItems", "maxItems", "dependencies"}


SHIPPED = sorted((Path(__file__).parents[2] / "scenarios").rglob("*.vcpu.yaml"))


@pytest.mark.slow
def test_editors_have_nothing_against_the_scenarios_that_ship() -> None:
    for path in SHIPPED:
        node, problems = yaml12.parse(path.read_text(encoding="utf-8"), str(path))
        assert node is not None
        assert not problems
        assert [error.message for error in REFEREE.iter_errors(to_plain(node))] == [], path
    assert SHIPPED


def test_the_scenarios_that_ship_name_the_schema_for_editors() -> None:
    for path in SHIPPED:
        first = path.read_text(encoding="utf-8").split("\n", 1)[0]
        prefix = "# yaml-language-server: $schema="
        assert first.startswith(prefix), path
        assert (path.parent / first.removeprefix(prefix)).resolve().is_file(), path
