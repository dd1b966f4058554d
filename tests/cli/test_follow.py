"""``scenario run --follow``: what guests send, while they do, and nothing of it in the report."""

from __future__ import annotations

import os
import pty
from pathlib import Path

import pytest
from vcpu_scenario.cli import main
from vcpu_scenario.cli.follow import Follower

from tests.guests import listed

TEXT = """\
title: it says something
guest: {words: WORDS}
devices: {uart: {handled_by: userspace, model: pl011, at: 0x09000000, console: true}}
expect: [{exits: [system_event: {type: shutdown}]}]
"""
WORDS = listed(
    """\
mov x0, #0x09000000; mov w1, #'K'; strb w1, [x0]; mov w1, #10; strb w1, [x0]; mov w0, #8
movk w0, #0x8400, lsl #16; hvc #0"""
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("made.vcpu.yaml").write_text(TEXT.replace("WORDS", WORDS))


@pytest.mark.usefixtures("here")
def test_what_a_guest_sends_is_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    command = ["run", "made.vcpu.yaml", "--kernel", "6.12"]
    assert main(command) == 0
    assert capfd.readouterr().err == ""
    assert main([*command, "--follow"]) == 0
    assert capfd.readouterr().err == "K\n"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("option", [["-j", "2"], ["--cluster", "tcp://nowhere:1"]])
def test_only_what_one_process_here_runs_is_followed(
    option: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "made.vcpu.yaml", "--follow", *option]) == 4
    assert "--follow: " in capfd.readouterr().err


def test_a_run_that_takes_long_tells_its_time_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vcpu_scenario.cli.follow._PATIENCE", 0.0)
    monkeypatch.setattr("vcpu_scenario.cli.follow._PAUSE", 0.01)
    monkeypatch.setattr("vcpu_scenario.cli.follow.is_terminal", lambda stream: True)
    terminal, stderr = pty.openpty()
    monkeypatch.setattr("vcpu_scenario.cli.follow.os.dup", lambda number: stderr)
    follower = Follower(follow=True)
    follower.begins()
    follower.exits = 1234
    told = b""
    while b"0 s, 1,234 exits" not in told:
        told += os.read(terminal, 100)
    follower.ended()
    assert told.startswith(b"\r\x1b[2K0 s, ")
    os.close(stderr)
    os.close(terminal)
