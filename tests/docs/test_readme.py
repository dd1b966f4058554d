"""README.md's first scenario, written and run as the page says."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from vcpu_scenario.assembly.assemblers import installed

from .follow import Shell, agrees, steps
from .markdown import fences
from .test_tutorial import environment

pytestmark = pytest.mark.slow

PAGE: Final = Path(__file__).parents[2] / "README.md"


def follow_the_first(shell: Shell, folder: Path) -> None:
    """Writes the first scenario in ``folder``, where ``shell`` is, and runs it."""
    section = PAGE.read_text(encoding="utf-8").partition("\n## Your first scenario\n")[2]
    found = fences(section)
    file = next(fence for fence in found if fence.kind == "yaml")
    console = next(fence for fence in found if fence.kind == "console")
    (folder / "step-over-a-load.vcpu.yaml").write_text(file.content, encoding="utf-8")
    ((command, shown),) = steps(console.content)
    printed, status = shell.type(command)
    assert agrees(shown, printed), printed
    assert status == 1


@pytest.mark.skipif(not installed(), reason="no assembler for the guest's code")
def test_the_first_scenario_runs_as_the_page_says(tmp_path: Path) -> None:
    with Shell(tmp_path, environment(tmp_path)) as shell:
        follow_the_first(shell, tmp_path)
