"""The command line in a folder with two scenarios on every kernel: 60 cases and more."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from vcpu_scenario.api import dumps
from vcpu_scenario.cli import main


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def transcript(self) -> str:
        out = re.sub(r"=+( .*) in \d+\.\d\ds =+", r"=\1 in a moment =", self.out)
        return (
            f"{out}{f'--- stderr{chr(10)}{self.err}' if self.err else ''}--- status {self.status}\n"
        )


Scenario = Callable[..., Outcome]


def breakpoint(imm: int = 7, **more: Any) -> str:
    """The text of a scenario that passes with ``imm`` 7 and fails with any other."""
    scenario = {
        "title": "a breakpoint",
        "guest": {"at": 0x40000000, "words": [0xD503201F, 0xD42000E0]},
        "debug": {"software_breakpoints": True},
        "expect": [{"exits": [{"debug": {"brk": 0x40000004, "imm": imm}}]}],
    }
    return dumps(scenario | more)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "right.vcpu.yaml").write_text(breakpoint())
    (tmp_path / "s" / "wrong.vcpu.yaml").write_text(breakpoint(8, kernels=">=6.12"))
    return tmp_path


@pytest.fixture
def scenario(folder: Path, capsys: pytest.CaptureFixture[str]) -> Scenario:
    def run(*args: str) -> Outcome:
        capsys.readouterr()
        status = main(list(args))
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run
