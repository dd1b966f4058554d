"""``--allow-dir``: on every command that loads scenarios, and on no other."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from vcpu_scenario.cli import all_commands
from vcpu_scenario.language.permission import granted

from tests.commandline import in_folder

TEXT = """\
title: code from elsewhere
guest: {binary: ../build/fw.bin, symbols: ../build/System.map}
debug: {software_breakpoints: true}
expect:
  - exits:
      - debug: {brk: start}
"""
LOADING = {
    "run": ["run", "own"],
    "matrix": ["matrix", "own"],
    "check": ["check", "own"],
    "list": ["list", "own"],
    "explain": ["explain", "own/made.vcpu.yaml"],
    "history": ["history", "own/made.vcpu.yaml"],
    "stops": ["stops", "own"],
    "assemble": ["assemble", "own"],
    "export": ["export", "own/made.vcpu.yaml"],
    "report": ["report", "own/made.vcpu.yaml"],
    "compare": ["compare", "own", "--machine", "emulated:5.10", "--machine", "emulated:6.12"],
}
"""Those that end by themselves, need no other machine, and do nothing without the files."""
OTHERS = {"fmt", "merge", "debug", "record", "lsp", "import"}
NOT_LOADING = {"conform", "kernels", "new", "migrate", "schema", "fuzz"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir()
    (tmp_path / "build").mkdir()
    (tmp_path / "own" / "made.vcpu.yaml").write_text(TEXT)
    (tmp_path / "build" / "fw.bin").write_bytes(bytes.fromhex("000020d4"))
    (tmp_path / "build" / "System.map").write_text("0000000040000000 T start\n")
    return tmp_path


@pytest.mark.parametrize("command", LOADING)
def test_files_of_another_folder_are_read_where_it_is_allowed(
    command: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = in_folder(folder, monkeypatch, capsys)
    refused = run(*LOADING[command])
    assert refused.status == 4
    assert "outside the scenario's folder" in refused.err
    assert "--allow-dir DIR" in refused.err
    allowed = run(*LOADING[command], "--allow-dir", "build")
    assert "outside" not in allowed.err
    assert allowed.status in ((0, 1) if command == "compare" else (0,))
    # What one command line allows is nothing to the next.
    assert granted() == ()
    assert run(*LOADING[command]).status == 4


def test_every_command_that_loads_scenarios_has_it_and_no_other() -> None:
    has: set[str] = set()
    has_not: set[str] = set()
    for command in all_commands().registered_commands:
        assert command.callback is not None
        name = command.name or re.sub("_$", "", command.callback.__name__)
        takes = "allow_dir" in inspect.signature(command.callback).parameters
        (has if takes else has_not).add(name)
    assert has == {*LOADING, *OTHERS}
    assert has_not == NOT_LOADING


def test_what_is_no_folder_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = in_folder(folder, monkeypatch, capsys)
    outcome = run("check", "own", "--allow-dir", "biuld")
    assert outcome.status == 4
    assert outcome.err == "scenario: cannot allow the folder biuld: no such file or directory\n"
