"""Projects with names that are also in this one: nothing of theirs is taken for ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from vcpu_scenario.api import dumps

from tests.plugin.conftest import breakpoint

pytestmark = pytest.mark.slow

CLASHING = ["runner", "machine", "report", "scenario", "schemas", "cli"]


@pytest.fixture(params=["module", "package"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Has modules or packages of its own that break whoever imports them by mistake."""
    for name in CLASHING:
        path = tmp_path / (f"{name}.py" if request.param == "module" else f"{name}/__init__.py")
        path.parent.mkdir(exist_ok=True)
        path.write_text("MINE = True\n")
    (tmp_path / "right.vcpu.yaml").write_text(dumps(breakpoint()))
    (tmp_path / "test_mine.py").write_text(
        "import runner\n\ndef test_mine(scenario_runner):\n"
        "    assert runner.MINE\n    scenario_runner.check('right.vcpu.yaml')\n"
    )
    return tmp_path


def passed(project: Path, *command: str, python: str = sys.executable) -> str:
    """What ``python -m command`` prints in ``project``, which it has on its path."""
    done = subprocess.run(
        [python, "-m", *command],
        cwd=project,
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_pytest_runs_in_a_project_that_has_a_runner(project: Path) -> None:
    assert "3 passed" in passed(project, "pytest", "-o", "vcpu_scenarios=true", "-p", "no:xdist")


def test_the_command_runs_where_the_project_is_on_the_path(project: Path) -> None:
    assert "2 passed" in passed(project, "vcpu_scenario", "run", "right.vcpu.yaml")
