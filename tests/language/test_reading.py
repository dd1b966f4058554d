"""What others wrote is read in one way, which neither waits nor takes all memory."""

from __future__ import annotations

import json
import lzma
import os
from pathlib import Path

import pytest
from vcpu_scenario.assembly.cache import words_path
from vcpu_scenario.cli import main
from vcpu_scenario.host.reading import Unreadable, parse_json, read_json, read_regular
from vcpu_scenario.language import load
from vcpu_scenario.source import InvalidScenario, render


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"[1, NaN]", "not JSON: NaN is no number of JSON"),
        (b'{"size": -Infinity}', "not JSON: -Infinity is no number"),
        (b"[" * 65 + b"]" * 65, "nested deeper than 64"),
        (b"[" * 200_000, "nested deeper than 64"),
        (b"[" + b"9" * 9000 + b"]", "more digits than can be read"),
        (b"[0" + b",0" * 300_000 + b"]", "more than 300,000 values"),
        (b"[\n \xff]", "the byte 0xff at line 2, byte 2"),
        (b"[\n 1,]", "line 2, column"),
    ],
)
def test_what_is_no_json_is_told(raw: bytes, message: str) -> None:
    with pytest.raises(Unreadable, match=message):
        parse_json(raw, 300_000)


def test_as_deep_as_may_be_is_read() -> None:
    raw = b"[" * 64 + b"]" * 64
    assert json.dumps(parse_json(raw, 100)).encode() == raw


def test_nothing_but_a_regular_file_of_its_size_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "large").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("large")
    for name, why in (
        ("pipe", "not a regular file"),
        ("zero", "not a regular file"),
        (".", "a folder"),
        ("large", "room for 4"),
        ("none", "no such file"),
    ):
        with pytest.raises(Unreadable, match=why):
            read_regular(tmp_path / name, 4)
    assert read_regular(tmp_path / "link", 5) == b"12345"
    with pytest.raises(Unreadable):
        read_regular(tmp_path / "link", 5, follow=False)
    with pytest.raises(Unreadable, match="more than the 16 bytes"):
        read_json(Path("/proc/self/maps"), 16, 9)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["conform", "merge"])
def test_a_command_neither_waits_nor_eats_memory(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    bomb = tmp_path / "bomb.json.xz"
    bomb.write_bytes(lzma.compress(b" " * (80 << 20), preset=0))
    for path in (str(tmp_path / "pipe"), "/dev/zero", str(bomb), str(tmp_path)):
        assert main([command, path]) == 4
        assert capsys.readouterr().err


@pytest.mark.parametrize("size", ["Infinity", "NaN", "1e999", "true", "-1", "9" * 5000, '"8"'])
def test_kept_words_that_are_none_do_not_count(
    size: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SCENARIO_ASSEMBLER", "none")
    example = Path(__file__).parents[2] / "docs" / "examples" / "first.vcpu.yaml"
    path = tmp_path / example.name
    path.write_text(example.read_text())
    kept = words_path(example).read_text()
    words_path(path).write_text(kept)
    assert main(["check", str(path)]) == 0
    (entry,) = json.loads(kept)["sources"].values()
    words_path(path).write_text(kept.replace(f'"size": {entry["size"]}', f'"size": {size}'))
    assert main(["check", str(path)]) == 4
    assert "SCENARIO_ASSEMBLER=none" in capsys.readouterr().err


def test_words_that_are_a_pipe_do_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCENARIO_ASSEMBLER", "none")
    path = tmp_path / "made.vcpu.yaml"
    path.write_text("title: x\nguest: {code: nop}\n")
    os.mkfifo(words_path(path))
    assert main(["check", str(path)]) == 4


def test_a_byte_order_mark_is_no_column(tmp_path: Path) -> None:
    path = tmp_path / "made.vcpu.yaml"
    path.write_bytes(b"\xef\xbb\xbfab\xff")
    with pytest.raises(InvalidScenario) as raised:
        load(path)
    (found,) = raised.value.diagnostics
    assert (found.message, found.span.line, found.span.column) == ("not UTF-8", 1, 3)
    path.write_bytes(b"\xef\xbb\xbf\xff")
    with pytest.raises(InvalidScenario) as raised:
        load(path)
    assert render(raised.value.diagnostics[0]).startswith(f"{path}:1:1:")


@pytest.mark.slow
def test_folders_of_any_depth_are_gone_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    made = Path(__file__).parents[2] / "docs" / "examples" / "memory.vcpu.yaml"
    deep = Path()
    for _ in range(1500):
        deep /= "d"
        deep.mkdir()
    (deep / "a.vcpu.yaml").write_text(made.read_text())
    status = main(["list", "."])
    (deep / "a.vcpu.yaml").unlink()
    for folder in (deep, *list(deep.parents)[:-1]):  # deeper than what cleans up afterwards can go
        folder.rmdir()
    assert status == 0
    assert "d/d/d/a@" in capsys.readouterr().out
