"""Runs the command line in this process, in the folder with the tests' scenarios."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.commandline import Scenario, in_folder

DATA = Path(__file__).parent / "data"


@pytest.fixture
def scenario(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Scenario:
    return in_folder(DATA, monkeypatch, capsys)


def children() -> list[str]:
    """The ids of this process's children."""
    path = f"/proc/self/task/{os.getpid()}/children"
    if not os.path.exists(path):
        pytest.skip("no list of children here")
    with open(path) as file:
        return file.read().split()
