"""Runs the command line in this process."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest
from vcpu_scenario.cli import main


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


Scenario: TypeAlias = Callable[..., Outcome]

_SEEN = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "GITHUB_STEP_SUMMARY", "_SCENARIO_COMPLETE")
"""Variables of the environment that change what is printed."""


def in_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Scenario:
    """``scenario("run", "step")`` is that command in ``folder``."""
    monkeypatch.chdir(folder)
    for name in _SEEN:
        monkeypatch.delenv(name, raising=False)

    def run(*args: str) -> Outcome:
        capsys.readouterr()
        status = main(list(args))
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run
