"""Runs the command line in this process, in the folder with the tests' scenarios."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from vcpu_scenario.cli import main

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def transcript(self) -> str:
        """All that came, with how long it took left out."""
        out = re.sub(r"=+( .*) in \d+\.\d\ds =+", r"=\1 in a moment =", self.out)
        parts = [out, f"--- stderr\n{self.err}" if self.err else "", f"--- status {self.status}\n"]
        return "".join(parts)


Scenario = Callable[..., Outcome]


@pytest.fixture
def scenario(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """``scenario("run", "step")`` is that command in the folder ``data``."""
    monkeypatch.chdir(DATA)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def run(*args: str) -> Outcome:
        capsys.readouterr()
        status = main(list(args))
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run


def children() -> list[str]:
    """The ids of this process's children."""
    path = f"/proc/self/task/{os.getpid()}/children"
    if not os.path.exists(path):
        pytest.skip("no list of children here")
    with open(path) as file:
        return file.read().split()
