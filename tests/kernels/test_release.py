"""Kernel releases, their order, and ranges of them."""

from __future__ import annotations

import pytest
from vcpu_scenario.kernels.meant import kernels_meant
from vcpu_scenario.kernels.release import (
    ALL_RELEASES,
    KNOWN_RELEASES,
    LONGTERM,
    VARIANTS,
    RangeError,
    parse_range,
    parse_release,
)


def test_known_releases_stand_in_their_order() -> None:
    releases = [parse_release(name) for name in KNOWN_RELEASES]
    assert releases == sorted(set(releases))
    assert [str(release) for release in releases] == list(KNOWN_RELEASES)


def test_releases_are_ordered_by_number_and_not_by_text() -> None:
    names = ["6.2", "5.10", "6.12.107", "5.3", "6.12", "5.10-v2trap"]
    assert [str(release) for release in sorted(map(parse_release, names))] == [
        "5.3",
        "5.10",
        "5.10-v2trap",
        "6.2",
        "6.12",
        "6.12.107",
    ]


@pytest.mark.parametrize("name", ["", "6.x", "6.12-", "6.12 ", "6..1", "-v2trap", "6.12-rc 1"])
def test_what_is_no_release_is_refused(name: str) -> None:
    with pytest.raises(RangeError):
        parse_release(name)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("5.10", ["5.10", "5.10.223"], ["5.1", "5.11", "5.9"]),
        ("5.0..5.10", ["5.0", "5.4.55", "5.10.223"], ["4.20", "5.11"]),
        (">=5.11", ["5.11", "5.11.0", "7.3"], ["5.10.223"]),
        (">5.10", ["5.11"], ["5.10", "5.10.223"]),
        ("<6.1", ["6.0.8", "4.14"], ["6.1", "6.1.176"]),
        ("<=6.1", ["6.1.176"], ["6.2"]),
        (">=6.1 <6.14", ["6.1", "6.13.7"], ["6.0", "6.14"]),
        (">= 6.1  < 6.14", ["6.1", "6.13.7"], ["6.0", "6.14"]),
        (">=6.1.100", ["6.1.100", "6.1.176", "6.2"], ["6.1", "6.1.99"]),
        ("6", ["6.0", "6.17"], ["5.19", "7.1"]),
    ],
)
def test_a_range_compares_at_the_precision_it_is_written_in(
    text: str, inside: list[str], outside: list[str]
) -> None:
    kernels = parse_range(text)
    assert [name for name in inside if not kernels.matches(name)] == []
    assert [name for name in outside if kernels.matches(name)] == []


def test_a_list_of_ranges_is_their_union() -> None:
    kernels = parse_range(["4.14", ">=7.2"])
    assert kernels.rows() == ("4.14", *parse_range(">=7.2").rows())


def test_no_plain_range_matches_a_variant() -> None:
    assert not parse_range(">=4.14").matches("5.0-v2trap")
    assert not parse_range("5.0").matches("5.0-v2trap")
    assert not ALL_RELEASES.matches("5.0-v2trap")


def test_a_range_that_names_a_variant_matches_nothing_else() -> None:
    kernels = parse_range(">=4.14-v2trap <4.18-v2trap")
    assert kernels.matches("4.16-v2trap")
    assert not kernels.matches("4.16")
    assert not kernels.matches("4.18-v2trap")
    plain = parse_range(">=4.14 <4.18").rows()
    assert kernels.rows() == tuple(f"{name}-v2trap" for name in plain)


def test_every_variant_can_be_named() -> None:
    for variant in VARIANTS:
        assert parse_range(f"5.0-{variant}").rows() == (f"5.0-{variant}",)


def test_a_release_between_known_ones_is_a_row_where_it_is_named_itself() -> None:
    assert "5.8" not in KNOWN_RELEASES
    assert parse_range("5.8").rows() == ("5.8",)
    assert parse_range(["5.6", "5.8.3"]).rows() == ("5.6", "5.8.3")
    assert parse_range("5.7..5.8").rows() == ("5.7",)


@pytest.mark.parametrize("text", ["4.9", "9.0", ">7.3", "<4.14", "5.10..5.0"])
def test_a_range_beyond_the_known_ones_has_no_row(text: str) -> None:
    assert parse_range(text).rows() == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ">=",
        "5.0..",
        "..5.0",
        ">=5.0..6.0",
        "5.0-v3trap",
        ">=5.0 <6.0-v2trap",
        ">>5.0",
        "5,6",
    ],
)
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(RangeError):
        parse_range(text)


def test_the_newest_and_the_longterm_releases_have_a_word() -> None:
    assert parse_range("latest").rows() == KNOWN_RELEASES[-1:]
    assert parse_range(" lts ").rows() == LONGTERM
    assert parse_range(["lts", "latest"]).rows() == (*LONGTERM, *KNOWN_RELEASES[-1:])
    assert parse_range("lts").matches("6.12.107")
    assert not parse_range("lts").matches("6.13")
    assert kernels_meant("lst") == "did you mean `lts`?"
    with pytest.raises(RangeError):
        parse_range(">=lts")


def test_each_edge_of_a_range_has_a_release_on_either_side() -> None:
    assert {str(edge) for edge in parse_range(">=5.11 <6.0").edges()} == {
        *("5.10", "5.11", "5.12", "5.19", "6.0", "6.1")
    }
    assert {str(edge) for edge in parse_range("4.20").edges()} == {"4.19", "4.20"}
    assert {str(edge) for edge in parse_range("5.0").edges()} == {"4.20", "5.0", "5.1"}
