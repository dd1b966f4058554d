"""YAML 1.2's core schema, spans, and what bounds a document."""

from __future__ import annotations

import math

import pytest
import yaml
from vcpu_scenario.language import yaml12
from vcpu_scenario.language.nodes import Map, Scalar, Sequence, resolve, to_plain
from vcpu_scenario.language.yaml12 import MAX_DEPTH, MAX_NODES, parse
from vcpu_scenario.source import split_lines

from tests.language.build import EVERYTHING, SMALL


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test here runs with the parser in C and with the one in Python."""
    if not hasattr(yaml, request.param):
        pytest.skip("PyYAML was built without its parser in C")
    monkeypatch.setattr(yaml12, "_LOADER", getattr(yaml, request.param))


def document(text: str) -> Map:
    node, problems = parse(text, "made.yaml")
    assert not problems
    assert isinstance(node, Map)
    return node


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("true", True),
        ("FALSE", False),
        ("tRUE", "tRUE"),
        ("", None),
        ("~", None),
        ("null", None),
        ("nULL", "nULL"),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("-0x1F", "-0x1F"),
        ("0b11", "0b11"),
        ("+12", 12),
        ("-7", -7),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("0x0900_0000", "0x0900_0000"),
        ("5.10", 5.1),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        (".", "."),
        ("-", "-"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("2024-01-01", "2024-01-01"),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_plain_scalars_mean_what_the_core_schema_says(text: str, value: object) -> None:
    found = resolve(text)
    assert (type(found), found) == (type(value), value)


def test_nan_is_a_float() -> None:
    found = resolve(".nan")
    assert isinstance(found, float)
    assert math.isnan(found)


def test_an_integer_too_long_to_be_any_number_stays_text() -> None:
    digits = "9" * 5000
    assert resolve(digits) == digits


def test_quotes_make_text() -> None:
    assert to_plain(document("a: \"1\"\nb: 'true'\nc: !!str 1\nd: ! 2")) == {
        "a": "1",
        "b": "true",
        "c": "1",
        "d": "2",
    }


def test_every_key_and_scalar_knows_where_it_stands() -> None:
    text = "guest: {at: 0x40, words: [1,\n  22]}\nabout: |\n  text\n"
    node = document(text)
    guest, about = node.get("guest"), node.get("about")
    key = node.key("about")
    assert isinstance(guest, Map)
    assert key is not None
    words = guest.get("words")
    assert isinstance(words, Sequence)
    assert isinstance(about, Scalar)

    def cut(scalar: Scalar) -> str:
        span = scalar.span
        return split_lines(text)[span.line - 1][span.column - 1 : span.end_column - 1]

    assert [cut(item) for item in words.items if isinstance(item, Scalar)] == ["1", "22"]
    assert [cut(name) for name, _ in guest.entries] == ["at", "words"]
    assert (key.span.line, key.span.column) == (3, 1)
    assert (about.style, about.text) == ("literal", "text\n")
    assert (guest.span.line, guest.span.end_line, guest.span.end_column) == (1, 2, 7)


def test_a_block_ends_with_its_last_entry_and_not_where_the_next_token_is() -> None:
    node = document("guest:\n  at: 1\n\n\n# a comment\nabout: x\n")
    guest = node.get("guest")
    assert guest is not None
    assert (guest.span.line, guest.span.end_line, guest.span.end_column) == (2, 2, 8)


def test_columns_count_characters_whatever_they_are_written_with() -> None:
    node = document("about: {ä𝄞: [é, x]}\n")
    about = node.get("about")
    assert isinstance(about, Map)
    ((key, items),) = about.entries
    assert isinstance(items, Sequence)
    assert (key.span.column, items.items[1].span.column) == (9, 17)


def test_an_alias_stands_for_its_anchor() -> None:
    assert to_plain(document("a: &x {b: 1}\nc: *x")) == {"a": {"b": 1}, "c": {"b": 1}}


def test_an_anchor_can_be_set_anew() -> None:
    assert to_plain(document("a: &x 1\nb: *x\nc: &x 2\nd: *x")) == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_a_byte_order_mark_is_no_text() -> None:
    assert to_plain(document("\ufefftitle: x")) == {"title": "x"}


@pytest.mark.slow
def test_nesting_up_to_the_limit_is_read() -> None:
    deep = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert parse(f"a: {deep}", "made.yaml")[1] == []
    for deeper in (f"[{deep}]", "[" * 50_000):
        _, problems = parse(f"a: {deeper}", "made.yaml")
        assert [each.message for each in problems] == [f"nested deeper than {MAX_DEPTH} levels"]


@pytest.mark.slow
def test_as_many_nodes_as_the_limit_are_read() -> None:
    items = ",".join("x" * (MAX_NODES - 3))
    assert parse(f"a: [{items}]", "made.yaml")[1] == []
    assert len(parse(f"a: [{items},x]", "made.yaml")[1]) == 1


def test_the_faults_of_the_whole_tree_come_with_the_tree() -> None:
    node, problems = parse("a: 1\na: 2\nb: !x 3\n", "made.yaml")
    assert node is not None
    assert to_plain(node) == {"a": 1, "b": 3}
    assert len(problems) == 2


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_the_parser_counts_them(line_break: str) -> None:
    text = line_break.join(["a: 1", "b: 2", "c: 3", "d: ]"])
    _, (problem,) = parse(text, "made.yaml")
    assert problem.span.line == 4
    assert split_lines(text)[3] == "d: ]"


@pytest.mark.parametrize("line_break", ["\x85", "\u2028", "\u2029"])
@pytest.mark.parametrize("text", ["a: 1{}b: 2", "# a: 1{}b: 2", "a: '1{}2'", "a: |\n  1{}2\n"])
def test_what_ends_a_line_in_yaml_1_1_alone_is_refused(text: str, line_break: str) -> None:
    node, (problem,) = parse(text.format(line_break), "made.yaml")
    assert node is None
    assert problem.message == (
        f"the character U+{ord(line_break):04X} ends a line in YAML 1.1"
        " and is a character as others in YAML 1.2"
    )
    assert problem.help == "remove it; a double-quoted scalar can have it as an escape"


@pytest.mark.parametrize("text", [EVERYTHING, SMALL])
def test_whole_scenarios_read_alike_with_both_parsers(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = document(text)
    monkeypatch.setattr(yaml12, "_LOADER", yaml.SafeLoader)
    assert node == document(text)


@pytest.mark.parametrize("text", ['a: "\\ud800"', "a: \ud800", "a: \x00", "a: \x1b", "\ufffe: 1"])
def test_what_is_no_character_is_refused(text: str) -> None:
    assert len(parse(text, "made.yaml")[1]) == 1
