"""Runs the command line in this process, in a folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from vcpu_scenario.cli import main


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def transcript(self) -> str:
        """All that came."""
        err = f"--- stderr\n{self.err}" if self.err else ""
        return f"{self.out}{err}--- status {self.status}\n"


Scenario = Callable[..., Outcome]


@pytest.fixture
def scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Scenario:
    """``scenario("fmt", ".")`` is that command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "_SCENARIO_COMPLETE"):
        monkeypatch.delenv(name, raising=False)

    def run(*args: str) -> Outcome:
        capsys.readouterr()
        status = main(list(args))
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run
