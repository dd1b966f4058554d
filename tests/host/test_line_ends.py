"""What a command writes keeps the form that the user's file has: line ends, BOM, last line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from vcpu_scenario.cli import main
from vcpu_scenario.host.textfile import TextFile

TEXT = """\
title: step over a load
# kept
guest:
  words: [0xd2a12000, 0xb9401801, 0x91000442, 0xd42000e0]
debug: {single_step: true, software_breakpoints: true}
expect:
  - kernels: "5.10"
    exits: []
"""


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


def record(path: Path, *more: str) -> int:
    return main(["record", str(path), "--machine", "emulated:6.12", *more])


@pytest.mark.slow
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("last", [True, False])
def test_a_recorded_file_differs_by_its_clause_alone(
    tmp_path: Path, end: str, bom: str, last: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    text = bom + (TEXT if last else TEXT.removesuffix("\n")).replace("\n", end)
    path = tmp_path / "a.vcpu.yaml"
    path.write_bytes(text.encode())
    assert record(path, "--yes") == 0
    raw = path.read_bytes().decode()
    at = raw.index('  - kernels: "6.12"')
    until = raw.index('  - kernels: "5.10"')
    assert raw[:at] + raw[until:] == text
    assert raw[at:until].replace(end, "").isprintable()
    shown = capsys.readouterr().out.splitlines()
    assert [line for line in shown if line[0] == "-"] == [f"--- {path}"]
    assert main(["run", str(path), "--kernel", "6.12"]) == 0


def test_lines_of_a_file_with_several_ends_stay_as_they_are(tmp_path: Path) -> None:
    lines = TEXT.split("\n")
    text = "".join(line + ("\r\n" if n % 3 else "\n") for n, line in enumerate(lines[:-1]))
    path = tmp_path / "a.vcpu.yaml"
    path.write_bytes(text.encode())
    assert record(path, "--yes") == 0
    raw = path.read_bytes().decode()
    at, until = (raw.index(f'  - kernels: "{kernel}"') for kernel in ("6.12", "5.10"))
    assert raw[:at] + raw[until:] == text
    assert raw[at:until].count("\r\n") == raw[at:until].count("\n")


def test_a_file_changed_while_it_is_recorded_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.vcpu.yaml"
    path.write_text(TEXT)

    def edited(_: Path) -> bool:
        path.write_text(TEXT + "# mine\n")
        return True

    monkeypatch.setattr("vcpu_scenario.cli.record._agreed", edited)
    assert record(path) == 1
    assert path.read_text() == TEXT + "# mine\n"
    assert "changed meanwhile; nothing was written" in capsys.readouterr().err


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_fmt_changes_the_style_and_no_line_end(tmp_path: Path, end: str, bom: str) -> None:
    path = tmp_path / "a.vcpu.yaml"
    path.write_bytes(
        (bom + "guest: {words: [0xd4200000]}\ntitle:   a\n".replace("\n", end)).encode()
    )
    assert main(["fmt", str(path)]) == 0
    neat = bom + "title: a\n\nguest:\n  words: [0xd4200000]\n".replace("\n", end)
    assert path.read_bytes() == neat.encode()
    assert main(["fmt", "--check", str(path)]) == 0


def test_fmt_shows_line_ends_that_it_would_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.vcpu.yaml"
    path.write_bytes(b"title: a\n\r\nguest:\r\n  words: [0xd4200000]\r\n")
    assert main(["fmt", "--diff", str(path)]) == 1
    assert "-title: a\n+title: a␍\n" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "a", "a\r\n", "a\nb\r\nc", "\ufeffa\rb\r", "\n\r\n\r\r\n"])
def test_what_is_not_changed_is_written_as_it_was(text: str) -> None:
    file = TextFile(text)
    assert file.rewritten(file.text) == text


def test_kept_words_do_not_go_where_a_link_leads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    mine = tmp_path / "mine"
    mine.write_text("mine")
    path = folder / "a.vcpu.yaml"
    path.write_text("title: a\nguest: {code: nop}\n")
    (folder / "a.words.json").symlink_to(mine)
    status = main(["assemble", str(path)])
    error = capsys.readouterr().err
    if status == 4 and "no assembler" in error.lower():
        pytest.skip("no assembler")
    assert status == 3
    assert "a link that leads out of the scenario's folder" in error
    assert mine.read_text() == "mine"
    assert sorted(os.listdir(folder)) == ["a.vcpu.yaml", "a.words.json"]
