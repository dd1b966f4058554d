"""Runs the command line in this process, in a folder of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commandline import Scenario, in_folder


@pytest.fixture
def scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Scenario:
    return in_folder(tmp_path, monkeypatch, capsys)
