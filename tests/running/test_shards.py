"""Which shard a case is in, and what a shard knows of the others."""

from __future__ import annotations

from collections import Counter
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vcpu_scenario.language.model import ScenarioCase
from vcpu_scenario.running.shards import Shard, ShardError, filled, parse_shard, shard_of, take


class Case:
    """As much of a case as shards look at."""

    def __init__(self, case_id: str) -> None:
        self.id = case_id


def cases(*ids: str) -> list[ScenarioCase]:
    return cast("list[ScenarioCase]", [Case(name) for name in ids])


NAMES = st.characters(codec=None, categories=("L", "N", "P", "Cs"))
"""With surrogates: Python has them in the names of files that are not UTF-8."""

IDS = [f"folder/scenario-{n}@{kernel}/plain" for n in range(2000) for kernel in ("5.10", "6.12")]


def test_the_shard_of_a_case_never_changes() -> None:
    """Shards of one run may be of machines set up at different times."""
    assert [shard_of("a", of) for of in (1, 2, 8, 256)] == [1, 1, 3, 203]
    name = "scenarios/thread/pl011-busy@6.12/plain"
    assert [shard_of(name, of) for of in (1, 2, 8, 256)] == [1, 2, 4, 116]


def test_shards_are_about_even() -> None:
    counts = Counter(shard_of(name, 16) for name in IDS)
    assert set(counts) == set(range(1, 17))
    assert max(counts.values()) < 1.3 * len(IDS) / 16


@pytest.mark.slow
@given(st.lists(st.text(NAMES), unique=True), st.integers(1, 50))
def test_every_case_is_in_one_shard(ids: list[str], of: int) -> None:
    taken = [take(Shard(number, of), cases(*ids)) for number in range(1, of + 1)]
    assert sorted(case.id for own, _ in taken for case in own) == sorted(ids)
    positions = [position for _, share in taken for position in share.positions.values()]
    assert sorted(positions) == list(range(len(ids)))
    assert {share.cases for _, share in taken} == {len(ids)}
    assert len({share.digest for _, share in taken}) == 1


@given(st.integers(0, len(IDS) - 1), st.integers(1, 50))
def test_a_case_more_moves_no_other(without: int, of: int) -> None:
    fewer = [name for n, name in enumerate(IDS[:100]) if n != without]
    before = {case.id for case in take(Shard(1, of), cases(*fewer))[0]}
    after = {case.id for case in take(Shard(1, of), cases(*IDS[:100]))[0]}
    assert after - {IDS[without]} == before - {IDS[without]}


def test_a_shard_keeps_the_order() -> None:
    own, share = take(Shard(1, 3), cases(*IDS))
    assert [case.id for case in own] == [name for name in IDS if shard_of(name, 3) == 1]
    assert [IDS[share.positions[case.id]] for case in own] == [case.id for case in own]


@pytest.mark.parametrize("other", [IDS[1:], IDS[::-1], [*IDS, "more"]])
def test_shards_of_another_selection_can_be_told(other: list[str]) -> None:
    _, one = take(Shard(1, 2), cases(*IDS))
    _, two = take(Shard(2, 2), cases(*other))
    assert one.digest != two.digest


def test_only_shards_that_have_cases_are_filled() -> None:
    found = filled(cases("a", "b", "c"), 100)
    assert sum(found.values()) == 3
    assert list(found) == [Shard(n, 100) for n in sorted({shard_of(i, 100) for i in "abc"})]
    for shard, count in found.items():
        assert len(take(shard, cases("a", "b", "c"))[0]) == count


@pytest.mark.parametrize("text", ["1/1", "2/8", "8/8", "10000/10000"])
def test_a_shard_is_read_as_it_is_written(text: str) -> None:
    assert str(parse_shard(text)) == text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected one such as 2/8"),
        ("2", "expected one such as 2/8"),
        ("2/", "expected one such as 2/8"),
        ("-1/8", "expected one such as 2/8"),
        ("1/8\n", "expected one such as 2/8"),
        ("2 of 8", "expected one such as 2/8"),
        ("0/8", "the first is 1/8"),
        ("9/8", "the last 8/8"),
        ("0/0", "there are 1 to 10000 shards"),
        ("1/10001", "there are 1 to 10000 shards"),
    ],
)
def test_what_is_no_shard_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ShardError, match=complaint):
        parse_shard(text)
