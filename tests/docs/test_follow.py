"""The tests of pages themselves: what they would not notice would stay wrong in the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from .follow import Shell, Step, agrees, block, elided, patched, steps
from .markdown import anchors, code_spans, fences, filled, links


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("", ""),
        ("a\nb", "a\nb"),
        ("...", "anything\nat all"),
        ("a\n...\nc", "a\nb\nb\nc"),
        ("a\n...\nc", "a\nc"),
        ("...\nb\n...", "a\nb\nc"),
        ("=== 2 passed in 0.18s ===", "===== 2 passed in 12.40s ====="),
    ],
)
def test_output_as_it_is_shown(shown: str, printed: str) -> None:
    assert agrees(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("", "a"),
        ("a", ""),
        ("a\nb", "a\nc"),
        ("a\n...\nc", "a\nb"),
        ("...\nb\n...", "a\nc"),
        ("a.c", "abc"),
        ("=== 2 passed in 0.18s ===", "=== 3 passed in 0.18s ==="),
    ],
)
def test_output_that_is_not_as_shown(shown: str, printed: str) -> None:
    assert not agrees(shown, printed)


def test_what_is_cut_stays_cut_where_it_was() -> None:
    assert elided("a\n...\nz", "1\n2\n3\n4") == "1\n...\n4"
    assert elided("a\nz", "1\n2\n3") == "1\n2\n3"


def test_a_console_block_is_its_commands() -> None:
    content = "$ one\nout\nput\n$ two\n$ three\n"
    found = steps(content)
    assert found == [Step("one", "out\nput"), Step("two", ""), Step("three", "")]
    assert block(found) == content


def test_a_change_has_to_fit_once() -> None:
    assert patched("a\nb\nc\n", " a\n-b\n+B\n+BB\n") == "a\nB\nBB\nc\n"
    with pytest.raises(ValueError, match="does not have these lines once"):
        patched("a\na\n", "-a\n+b\n")
    with pytest.raises(ValueError, match="does not have these lines once"):
        patched("a\n", "-x\n+b\n")


def test_a_shell_keeps_its_folder_and_tells_the_status(tmp_path: Path) -> None:
    with Shell(tmp_path, {"PATH": "/usr/bin:/bin"}) as shell:
        assert shell.type("mkdir sub && cd sub") == ("", 0)
        assert shell.type("pwd") == (f"{tmp_path}/sub", 0)
        assert shell.type("echo out; echo err >&2; false") == ("out\nerr", 1)
        assert shell.type("printf no-newline") == ("no-newline", 0)
        with pytest.raises(EOFError, match="exit"):
            shell.type("exit 3")


def test_the_parts_of_a_page() -> None:
    text = (
        "# A `Head` of it\n\n[a](b.md#c) `code`\n\n"
        "```yaml file=x\nkey: 1\n```\n<!-- begin part -->\nold\n<!-- end -->\n"
    )
    (fence,) = fences(text)
    assert (fence.kind, fence.options, fence.content) == ("yaml", {"file": "x"}, "key: 1\n")
    assert text.splitlines()[fence.start : fence.end] == ["key: 1"]
    assert anchors(text) == ["a-head-of-it"]
    assert links(text) == ["b.md#c"]
    assert code_spans(text) == ["Head", "code"]
    assert "-->\nnew\n<!-- end" in filled(text, {"part": "new\n"})
    with pytest.raises(KeyError):
        filled(text, {})
