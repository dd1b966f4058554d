"""The alignment costs as little as any, and pairs what fits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vcpu_scenario.verdict.align import GAP, Alignment, align, prefix_costs


@dataclass(frozen=True)
class Letter:
    """Fits its own letter, ``?`` fits any; an upper-case one is a wrong field of the same."""

    letter: str
    least: int = 1
    most: int | None = 1


def cost_of(letter: str, actual: str) -> int:
    if letter in (actual, "?"):
        return 0
    return 3 if letter == actual.lower() else 2 * GAP


def aligned(pattern: list[Letter], actual: str) -> Alignment:
    return align(pattern, len(actual), lambda i, j: cost_of(pattern[i].letter, actual[j]))


def shown(pattern: list[Letter], actual: str) -> str:
    """Pairs as ``aa``, a missing item as ``a-``, an extra thing as ``-a``."""
    return " ".join(
        (pattern[pair.expected].letter if pair.expected is not None else "-")
        + (actual[pair.actual] if pair.actual is not None else "-")
        for pair in aligned(pattern, actual).pairs
    )


def letters(text: str) -> list[Letter]:
    return [Letter(letter) for letter in text]


def test_equal_sequences_pair_one_to_one() -> None:
    assert shown(letters("abc"), "abc") == "aa bb cc"


def test_a_missing_item_leaves_the_rest_in_place() -> None:
    assert shown(letters("abcd"), "abd") == "aa bb c- dd"


def test_an_extra_thing_leaves_the_rest_in_place() -> None:
    assert shown(letters("abd"), "abcd") == "aa bb -c dd"


def test_a_wrong_field_is_a_pair_and_no_gap() -> None:
    assert shown(letters("abc"), "aBc") == "aa bB cc"


def test_of_equal_repeats_the_last_is_the_missing_one() -> None:
    assert shown([Letter("a", 3, 3), Letter("b")], "aab") == "aa aa a- bb"


def test_an_optional_item_may_stay_away() -> None:
    pattern = [Letter("a"), Letter("b", 0, 1), Letter("c")]
    assert shown(pattern, "ac") == "aa cc"
    assert shown(pattern, "abc") == "aa bb cc"


def test_a_repeat_ends_at_its_most() -> None:
    assert shown([Letter("a", 1, 2), Letter("b")], "aaab") == "aa aa -a bb"


def test_a_repeat_without_most_takes_all_that_fit() -> None:
    assert shown([Letter("a", 2, None), Letter("b")], "aaaaab") == "aa aa aa aa aa bb"


def test_anything_repeated_reaches_as_far_as_it_must() -> None:
    assert shown([Letter("?", 0, None), Letter("z")], "abzcz") == "?a ?b ?z ?c zz"


def test_nothing_expected_makes_everything_extra() -> None:
    assert shown([], "ab") == "-a -b"


def test_what_was_due_is_said_with_each_gap() -> None:
    pairs = aligned(letters("abd"), "abcde").pairs
    assert [(pair.actual, pair.before) for pair in pairs if pair.expected is None] == [
        (2, 2),
        (4, 3),
    ]


@pytest.mark.slow
def test_sequences_too_long_to_align_are_cut_and_say_so() -> None:
    pattern = letters("a" * 3000)
    result = aligned(pattern, "b" * 3000)
    assert result.cut
    assert result.pairs


@pytest.mark.slow
def test_long_sequences_that_differ_in_one_place_are_not_cut() -> None:
    pattern = letters("ab" * 3000)
    actual = "ab" * 1500 + "b" + "ab" * 1499
    result = aligned(pattern, actual)
    assert not result.cut
    assert sum(pair.actual is None or pair.expected is None for pair in result.pairs) == 1


ITEMS = st.builds(
    lambda letter, least, more: Letter(letter, least, None if more == 3 else least + more),
    st.sampled_from("abc?"),
    st.integers(0, 2),
    st.integers(0, 3),
)


def total(pattern: list[Letter], actual: str) -> int:
    return sum(
        GAP
        if pair.expected is None or pair.actual is None
        else cost_of(pattern[pair.expected].letter, actual[pair.actual])
        for pair in aligned(pattern, actual).pairs
    )


@pytest.mark.slow
@given(st.lists(ITEMS, max_size=4), st.text("abcABC", max_size=6))
def test_the_costs_of_prefixes_are_those_of_aligning_each(
    pattern: list[Letter], actual: str
) -> None:
    costs = prefix_costs(pattern, len(actual), lambda i, j: cost_of(pattern[i].letter, actual[j]))
    assert costs == [total(pattern, actual[:n]) for n in range(len(actual) + 1)]


@pytest.mark.slow
@given(st.lists(ITEMS, max_size=4), st.text("abcABC", max_size=6))
def test_no_alignment_costs_less(pattern: list[Letter], actual: str) -> None:
    """Against plain recursion over every way to use the items."""

    @cache
    def least(item: int, used: int, at: int) -> int:
        if item == len(pattern):
            return (len(actual) - at) * GAP
        this = pattern[item]
        ways = [least(item + 1, 0, at) + max(0, this.least - used) * GAP]
        if at < len(actual):
            ways.append(least(item, used, at + 1) + GAP)
            if this.most is None or used < this.most:
                pair = cost_of(this.letter, actual[at])
                ways.append(least(item, min(used + 1, 9), at + 1) + pair)
        return min(ways)

    result = aligned(pattern, actual)
    assert total(pattern, actual) == least(0, 0, 0)
    assert [pair.actual for pair in result.pairs if pair.actual is not None] == list(
        range(len(actual))
    )
