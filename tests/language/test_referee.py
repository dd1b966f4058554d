"""``jsonschema`` decides in ``scenario check``; the walk that places its faults holds to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from jsonschema import Draft7Validator
from vcpu_scenario.language import load, referee, schema, yaml12
from vcpu_scenario.language.nodes import Map, Node, Scalar, Sequence, to_plain
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.source import InvalidScenario, Span, render

from tests.docs.markdown import fences
from tests.fuzz.documents import document

ROOT = Path(__file__).parents[2]
HERE = Span("made.vcpu.yaml", 1, 1, 1, 2)
PLAIN = Draft7Validator(schema.scenario_schema())

FILES = sorted((ROOT / "scenarios").rglob("*.vcpu.yaml")) + sorted(
    (ROOT / "tests").rglob("*.vcpu.yaml")
)
IN_DOCS = [
    fence.content
    for page in (*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md")
    for fence in fences(page.read_text(encoding="utf-8"))
    if fence.kind == "yaml"
]


def node_of(value: Any) -> Node:
    """The node that is ``value``, as the parser would make it of JSON."""
    if isinstance(value, dict):
        return Map(tuple((key_of(key), node_of(item)) for key, item in value.items()), HERE)
    if isinstance(value, list):
        return Sequence(tuple(map(node_of, value)), HERE)
    if isinstance(value, str):
        return Scalar(value, value, "quoted", HERE)
    return Scalar(value, json.dumps(value), "plain", HERE)


def key_of(key: str) -> Scalar:
    return Scalar(key, key, "quoted", HERE)


def verdicts(node: Node) -> tuple[bool, bool, bool]:
    """Whether ``node`` fits: by the walk, by what decides, by ``jsonschema`` as it comes."""
    problems = Problems()
    schema.check(node, problems)
    document = to_plain(node)
    fits = referee.validator().is_valid(document), PLAIN.is_valid(document)
    return not problems, *fits


@pytest.mark.slow
def test_all_agree_on_every_scenario_there_is() -> None:
    assert len(FILES) > 100
    for text in [path.read_text(encoding="utf-8") for path in FILES] + IN_DOCS:
        node, _ = yaml12.parse(text, "made.vcpu.yaml")
        if node is not None:
            assert len(set(verdicts(node))) == 1, text


@pytest.mark.slow
def test_all_agree_on_shipped_scenarios_whose_text_was_changed() -> None:
    fitting = others = 0
    for seed in range(1500):
        text = document(seed).decode(errors="replace")
        node, faults = yaml12.parse(text, "made.vcpu.yaml")
        if node is not None and not faults:
            found = verdicts(node)
            assert len(set(found)) == 1, text
            fitting, others = fitting + found[0], others + (not found[0])
    assert fitting > 100
    assert others > 100


WHOLE = [
    to_plain(node)
    for path in FILES
    if (node := yaml12.parse(path.read_text(encoding="utf-8"), "")[0]) is not None
]
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 1.0, 1.5, 4096, 1 << 64, -(1 << 63), float("inf")),
    *("", "x0", "0x10", "true", "1", "a b", "start+4", "${width}", "6.12", ">=5.0 <6.1", "é"),
    *([], [[]], [1], ["a"], [{}], {}, {"x0": 1}, {"a": {"b": 1}}, {"": 1}),
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (collection, key) in ``value``."""
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(item, dict | list):
            yield from places(item)


def mutated(random: Random) -> Any:
    """A scenario with a few of its values gone, new, doubled, or those of another place."""
    made = json.loads(json.dumps(random.choice(WHOLE)))
    if not isinstance(made, dict):
        return made
    donor = random.choice(WHOLE)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if not (found := list(places(made))):
            break
        within, key = random.choice(found)
        others = list(places(donor)) if isinstance(donor, dict | list) else []
        other, name = random.choice(others or found)
        new = random.choice((random.choice(ODD), other[name]))
        match random.randrange(4):
            case 0:
                del within[key]
            case 1 if isinstance(within, dict):
                within[str(name)] = new
            case 2 if isinstance(within, list):
                within.insert(key, new)
            case _:
                within[key] = new
        made = json.loads(json.dumps(made))
    return made


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 6000, 1000))
def test_all_agree_on_scenarios_that_were_mutated(start: int) -> None:
    fitting = 0
    for seed in range(start, start + 1000):
        made = mutated(Random(f"mutated {seed}"))
        found = verdicts(node_of(made))
        assert len(set(found)) == 1, json.dumps(made)
        fitting += found[0]
    assert 50 < fitting < 950


def scenario(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "made.vcpu.yaml"
    path.write_text(text)
    return path


GOOD = "title: t\nguest: {words: [0xd4200000]}\nexpect: [{exits: [{debug: {step: 0x40000004}}]}]\n"


def test_what_only_jsonschema_rejects_is_an_error_at_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "check", lambda root, problems, again=False: root)
    path = scenario(tmp_path, GOOD.replace("title: t", "title: [t]"))
    with pytest.raises(InvalidScenario) as caught:
        load(path, strictly=True)
    found = next(found for found in caught.value.diagnostics if "schema" in found.message)
    assert render(found).splitlines() == [
        f"{path}:1:8: error: this does not fit the schema",
        " 1 | title: [t]",
        "   |        ^^^",
        "   = found: ['t'] is not of type 'string'",
    ]


def test_what_only_the_walk_rejects_is_an_error_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = scenario(tmp_path, GOOD.replace("title: t", "title: [t]"))
    monkeypatch.setattr(referee, "validator", lambda: Draft7Validator({}))
    with pytest.raises(InvalidScenario, match="wrong value for `title`"):
        load(path, strictly=True)


def test_a_value_that_fitted_makes_no_other_fit_that_is_equal_to_it() -> None:
    validator = referee.validator()
    for good, bad in ((1, True), (1, 1.5), ("x", ["x"]), (1, "1 a b c"), (0, False)):
        made: Any = {
            "title": "t",
            "guest": {"words": [0]},
            "limits": {"exits": 1},
            "expect": [{"exits": [{"debug": {"step": good}}]}],
        }
        assert validator.is_valid(made)
        made["expect"] = [{"exits": [{"debug": {"step": bad}}]}]
        assert validator.is_valid(made) == PLAIN.is_valid(made)


def test_two_keys_of_one_text_are_one_key_twice() -> None:
    _, faults = yaml12.parse('regs: {1: 2, "1": 3}\n', "made.vcpu.yaml")
    assert [fault.message for fault in faults] == ["duplicate key `1`"]
    _, faults = yaml12.parse("regs: {16: 2, 0x10: 3, 17: 4}\n", "made.vcpu.yaml")
    assert [fault.message for fault in faults] == ["duplicate key `0x10`"]
