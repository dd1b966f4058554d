"""What is uploaded: an sdist, and the wheel that is built from it, installed as a user does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
import vcpu_scenario
from vcpu_scenario.language.schema import schema_text

from tests.docs.follow import Shell
from tests.docs.markdown import links
from tests.docs.test_readme import follow_the_first
from tests.docs.test_tutorial import INSTALL

from .test_names import passed, project

__all__ = ["project"]

ROOT = Path(__file__).parents[2]
NAME = f"vcpu_scenario-{vcpu_scenario.__version__}"

pytestmark = pytest.mark.skipif(INSTALL not in os.environ, reason=f"{INSTALL} is not set")


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, timeout=900, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with both, the wheel built from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def python(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment in which the wheel is, an assembler, and pytest."""
    venv = tmp_path_factory.mktemp("user") / "venv"
    run(sys.executable, "-m", "venv", venv)
    wheel = f"{dist / NAME}-py3-none-any.whl[assembler]"
    run(venv / "bin/python", "-m", "pip", "install", "--quiet", wheel, "pytest")
    return venv / "bin/python"


def test_the_wheel_has_one_package_and_all_its_data(dist: Path) -> None:
    with zipfile.ZipFile(dist / f"{NAME}-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())
        page = message_from_bytes(wheel.read(f"{NAME}.dist-info/METADATA"))
    assert {name.partition("/")[0] for name in names} == {"vcpu_scenario", f"{NAME}.dist-info"}
    source = ROOT / "runner/vcpu_scenario"
    wanted = {
        f"vcpu_scenario/{path.relative_to(source).as_posix()}"
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    wanted |= {f"vcpu_scenario/schemas/{path.name}" for path in (ROOT / "schemas").iterdir()}
    assert wanted <= names
    text = str(page.get_payload())
    assert text.startswith("# vcpu-scenario")
    assert [link for link in links(text) if not re.match("https?://|#", link)] == []


def test_the_sdist_is_the_project(dist: Path) -> None:
    with tarfile.open(dist / f"{NAME}.tar.gz") as sdist:
        names = {name.removeprefix(f"{NAME}/") for name in sdist.getnames()}
    assert {"README.md", "LICENSE", "setup.sh", "test.sh", "docs/tutorial.md"} <= names
    assert {"tests/conftest.py", "tests/recorded/core.json.xz"} <= names
    assert not [name for name in names if name.startswith((".venv", ".cache", ".mypy_cache"))]


def test_the_first_scenario_runs_as_the_page_says(python: Path, tmp_path: Path) -> None:
    path = f"{python.parent}:/usr/bin:/bin"
    with Shell(tmp_path, {"PATH": path, "HOME": str(tmp_path), "LANG": "C.UTF-8"}) as shell:
        follow_the_first(shell, tmp_path)
        assert shell.type("scenario schema --output schema.json") == ("", 0)
        assert shell.type("scenario new first && scenario run first.vcpu.yaml")[1] == 0
    assert (tmp_path / "schema.json").read_text() == schema_text()


def test_the_wheel_runs_in_a_project_that_has_a_runner(python: Path, project: Path) -> None:
    assert "3 passed" in passed(project, "pytest", "-o", "vcpu_scenarios=true", python=str(python))
    assert "2 passed" in passed(
        project, "vcpu_scenario", "run", "right.vcpu.yaml", python=str(python)
    )
