"""Texts that lack their quotes are shown with them."""

from __future__ import annotations

import pytest
from vcpu_scenario.language import yaml12
from vcpu_scenario.language.quoting import Bracket, last_open, quotes_missing, unclosed
from vcpu_scenario.language.wrongvalue import number_meant


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("expect:\n  - kernels: >=5.11\n    exits: []\n", '">=5.11"'),
        ("kernels: >=5.11 <6.1  # not quoted\n", '">=5.11 <6.1"'),
        ("kernels: > 5.11\n", '"> 5.11"'),
        ("kernels: [<6.1, >=6.2]\n", '">=6.2"'),
        ("kernels:\n  - >=5.11\n", '">=5.11"'),
        ("x: {kernels: >=5.11, vmm: [plain]}\n", '">=5.11"'),
        ('x: ["a, b: @c", @d]\n', '"@d"'),
        ("title: @home alone\n", '"@home alone"'),
        ("title: `ldr`\n", '"`ldr`"'),
        ("title: %cpu\n", '"%cpu"'),
        ("title: * all\n", '"* all"'),
        ("title: *all\n", '"*all"'),
        ("title: , then\n", '", then"'),
        ("title: mmio: a read\n", '"mmio: a read"'),
        ("tags: [a: b: c]\n", '"b: c"'),
        ("title: {x} and y\n", '"{x} and y"'),
        ("title: [x] and y\n", '"[x] and y"'),
        ("title: - a\n", '"- a"'),
        ("title: 'it's'\n", '"it\'s"'),
        ('title: "one" of two\n', "'\"one\" of two'"),
        ("title: @a\\b's\n", "'@a\\b''s'"),
        ("@key: b\n", '"@key"'),
    ],
)
def test_a_text_that_needs_quotes_is_shown_with_them(text: str, written: str) -> None:
    _, problems = yaml12.parse(text, "file")
    (problem,) = problems
    assert problem.help.endswith(f": {written}")
    wrong = written.replace("''", "'")[1:-1]
    raw = f"'{wrong}'" if text == "title: 'it's'\n" else wrong
    mended, problems = yaml12.parse(text.replace(raw, written), "file")
    assert (mended is not None, problems) == (True, [])


@pytest.mark.parametrize(
    ("text", "help_"),
    [
        ("a: b\n\tc: d\n", "tabs cannot indent, write spaces"),
        ("-\t\ta: @b\n", "tabs cannot indent, write spaces"),
        ('title: "C:\\path"\n', "in double quotes a backslash starts an escape: write two, or"),
        ('kernels: ">=5.11\n', "close the quote that opens in line 1"),
        ('a: "of\n  two lines"\nb:\n  |\n    x\n  y\n', "indent entries alike"),
        ("a: [it's, 'of\n  two']\nc: d\n e: f\n", "a text with `: ` in it"),
        ("a: !!binary b\n", "leave the tag out; a quoted scalar is a string"),
        ("a: b\n c: d\n", "a text with `: ` in it needs quotes; an entry must be indented like"),
    ],
)
def test_what_quotes_would_not_mend_is_not_said_to_need_them(text: str, help_: str) -> None:
    _, problems = yaml12.parse(text, "file")
    assert [problem.help.startswith(help_) for problem in problems] == [True]


def test_looking_for_quotes_takes_no_longer_than_the_line_is_long() -> None:
    for line in ("[" * 50_000, "a: " * 50_000, "{'" * 50_000, "- " * 50_000, "[a, " * 30_000):
        assert len(quotes_missing(line, len(line))) < 100


def test_a_quote_that_is_open_is_found_behind_texts_of_several_lines() -> None:
    texts = ['- "a', 'b"'] * 100_000  # which took minutes when each began a search to the end
    assert unclosed(texts) == 0
    assert unclosed([*texts, "- 'c", "d"]) == len(texts) + 1


@pytest.mark.parametrize(
    ("lines", "bracket"),
    [
        (["a: [{b: [c]}"], Bracket("[", 1, 4)),
        (["a: {b: [c],", "  d: e"], Bracket("{", 1, 4)),
        (['a: ["]", {b: c}'], Bracket("[", 1, 4)),
        (["a: [b] # ["], None),
    ],
)
def test_the_bracket_that_nothing_closes(lines: list[str], bracket: Bracket | None) -> None:
    assert last_open(lines) == bracket


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("0b101", "write 0x5"),
        ("09000000h", "write 0x09000000"),
        ("4k", "write 4KiB"),
        ("1f", "write 0x1f"),
        ("c0000000", "write 0xc0000000"),
        ("c0", ""),
        ("a1", ""),
        ("add1", ""),
    ],
)
def test_a_number_is_guessed_of_what_is_like_none_but_one(text: str, meant: str) -> None:
    assert number_meant(text).partition(":")[0] == meant
