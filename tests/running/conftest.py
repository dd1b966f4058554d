"""The command line in a folder with two scenarios on every kernel: 60 cases and more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from vcpu_scenario.api import dumps

from tests.commandline import Scenario, in_folder


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
def folder(tmp_path: Path) -> Path:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "right.vcpu.yaml").write_text(breakpoint())
    (tmp_path / "s" / "wrong.vcpu.yaml").write_text(breakpoint(8, kernels=">=6.12"))
    return tmp_path


@pytest.fixture
def scenario(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Scenario:
    return in_folder(folder, monkeypatch, capsys)
