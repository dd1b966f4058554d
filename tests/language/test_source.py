"""Diagnostics and their excerpts."""

from __future__ import annotations

from pathlib import Path

import pytest
from vcpu_scenario.host.printable import meant
from vcpu_scenario.source import (
    WIDTH,
    Diagnostic,
    InvalidScenario,
    Span,
    did_you_mean,
    excerpt,
    line_starts,
    quoted,
    render,
    split_lines,
)


def span(line: int, column: int, end: int, end_line: int | None = None) -> Span:
    return Span("made.yaml", line, column, end_line or line, end)


def under(line: str, carets: str) -> str:
    """What stands above the carets."""
    start = carets.index("^")
    return line[start : start + carets.count("^")]


def test_a_diagnostic_reads_place_message_excerpt_and_notes() -> None:
    found = Diagnostic(
        "unknown key `sise`", span(2, 3, 7), "sise", "at, size", "did you mean `size`?"
    )
    assert render(found, "memory:\n- sise: 4\n") == (
        "made.yaml:2:3: error: unknown key `sise`\n"
        " 2 | - sise: 4\n"
        "   |   ^^^^\n"
        "   = found: sise\n"
        "   = expected: at, size\n"
        "   = help: did you mean `size`?"
    )


def test_notes_without_text_are_left_out() -> None:
    assert "=" not in render(Diagnostic("wrong", span(1, 1, 2)), "a")


def test_the_margin_is_as_wide_as_the_line_number() -> None:
    lines = render(Diagnostic("wrong", span(100, 1, 2), "x"), "\n" * 99 + "a").split("\n")
    assert [line.index(mark) for line, mark in zip(lines[1:], "||=", strict=True)] == [5, 5, 5]


def test_a_span_over_several_lines_is_underlined_to_the_end_of_its_first() -> None:
    shown, carets = excerpt(span(1, 3, 2, end_line=3), "a bcd  \ne\nf")
    assert under(shown, carets) == "bcd"


def test_an_empty_span_has_one_caret() -> None:
    _, carets = excerpt(span(1, 3, 3), "a: ")
    assert carets.count("^") == 1


def test_a_wide_character_takes_two_columns_and_an_accent_none() -> None:
    _, carets = excerpt(span(1, 4, 5), "漢e\u0301x")
    assert carets.index("^") == len(" 1 | ") + 3


def test_a_tab_is_shown_as_one_blank() -> None:
    shown, carets = excerpt(span(1, 2, 3), "\tx")
    assert under(shown, carets) == "x"


def test_a_long_line_is_cut_around_what_matters() -> None:
    line = "a" * 5000 + "XYZ" + "b" * 5000
    shown, carets = excerpt(span(1, 5001, 5004), line)
    assert under(shown, carets) == "XYZ"
    assert len(shown) < WIDTH + 20
    assert shown.count("…") == 2


def test_control_characters_do_not_reach_the_terminal() -> None:
    text = render(Diagnostic("wrong", span(1, 1, 2)), "\x1b[31m\x07\u202e")
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text


def test_colour_only_where_it_is_asked_for() -> None:
    found = Diagnostic("wrong", span(1, 1, 2), "x")
    plain, coloured = render(found, "a"), render(found, "a", color=True)
    assert "\x1b[1;31m" in coloured
    assert "\x1b" not in plain


def test_a_file_that_is_gone_has_no_excerpt(tmp_path: Path) -> None:
    path = tmp_path / "gone.yaml"
    found = Diagnostic("wrong", Span(str(path), 1, 1, 1, 2))
    assert render(found) == f"{path}:1:1: error: wrong"


def test_the_excerpt_is_of_the_file_where_no_text_is_given(tmp_path: Path) -> None:
    path = tmp_path / "made.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: \xff\n")
    found = Diagnostic("wrong", Span(str(path), 1, 4, 1, 5))
    assert render(found).split("\n")[1] == " 1 | a: \ufffd"


def test_an_invalid_scenario_tells_its_faults_in_the_order_of_the_file() -> None:
    invalid = InvalidScenario(
        [
            Diagnostic("third", span(9, 1, 2)),
            Diagnostic("first", span(1, 5, 6)),
            Diagnostic("second", span(2, 1, 2)),
        ]
    )
    assert [found.message for found in invalid.diagnostics] == ["first", "second", "third"]
    assert str(invalid).count("error:") == 3


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("sise", "did you mean `size`?"),
        ("SIZE", "did you mean `size`?"),
        ("frobnicate", ""),
        ("", ""),
    ],
)
def test_only_what_is_close_is_suggested(word: str, hint: str) -> None:
    assert did_you_mean(word, ["at", "size", "readonly"]) == hint


@pytest.mark.parametrize(
    ("help_", "word"),
    [
        (did_you_mean("sise", ["size"]), "size"),
        ("did you mean `6.1..6.12`?", "6.1..6.12"),
        ("write `then`, or run `scenario migrate`; what it says is the same", "then"),
        ('quote it: "5.10"', '"5.10"'),
        ("did you mean `a\\x1b`?", ""),
        ("remove it; a double-quoted scalar can have it as an escape", ""),
        ("did you mean add, adds?", ""),
        ("", ""),
    ],
)
def test_a_help_says_which_word_was_meant(help_: str, word: str) -> None:
    assert meant(help_) == word


def test_lines_begin_where_they_are_split() -> None:
    text = "a\r\nb\x85c\u2028\n\rd"
    starts = line_starts(text)
    assert [text[at : at + 1] for at in starts] == ["a", "b", "c", "\n", "\r", "d"]
    assert len(starts) == len(split_lines(text))


def test_a_quotation_is_one_short_printable_line() -> None:
    text = quoted("a\nb\x1b" + "c" * 100)
    assert text.startswith("`a b\ufffdccc")
    assert len(text) < 70
