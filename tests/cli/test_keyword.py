"""``-k`` reads what pytest's reads, and says where it cannot."""

from __future__ import annotations

import pytest
from vcpu_scenario.running.keyword import KeywordError, compile_keyword

ID = "scenarios/Step/load.vcpu.yaml[width=4]@6.12+qemu-2017"


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ("", True),
        ("  ", True),
        ("load", True),
        ("step", True),
        ("LOAD", True),
        ("store", False),
        ("not store", True),
        ("not not load", True),
        ("load and store", False),
        ("load or store", True),
        ("load and not store", True),
        ("store or load and nothing", False),
        ("(store or load) and 6.12", True),
        ("not (store or load)", False),
        ("width=4", True),
        ("[width=4]@6.12+qemu", True),
        ('"load.vcpu"', True),
        ("'and'", False),
        ("android or load", True),
        ("not(store)and load", True),
    ],
)
def test_an_expression_selects_by_words_in_the_id(expression: str, selected: bool) -> None:
    assert compile_keyword(expression)(ID) is selected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("load and", "-k: expected a word, `not` or `(`, found the end\n  load and\n          ^"),
        ("or load", "-k: expected a word, `not` or `(`, found `or`\n  or load\n  ^"),
        (
            "load store",
            "-k: expected `and`, `or` or the end, found `store`\n  load store\n       ^",
        ),
        ("(load", "-k: expected `)`, found the end\n  (load\n       ^"),
        ("load)", "-k: expected `and`, `or` or the end, found `)`\n  load)\n      ^"),
        ('load and "st', '-k: a quote that is not closed\n  load and "st\n           ^'),
        ("()", "-k: expected a word, `not` or `(`, found `)`\n  ()\n   ^"),
    ],
)
def test_a_faulty_expression_is_shown_with_a_caret(expression: str, message: str) -> None:
    with pytest.raises(KeywordError) as caught:
        compile_keyword(expression)
    assert str(caught.value) == message


def test_an_expression_nested_without_end_is_refused() -> None:
    with pytest.raises(KeywordError, match="nested too deep"):
        compile_keyword("(" * 5000 + "a" + ")" * 5000)
    with pytest.raises(KeywordError, match="nested too deep"):
        compile_keyword("not " * 5000 + "a")
