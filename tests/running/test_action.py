"""The action of this repository: its steps do in a workflow what its description says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .action import ACTION, ROOT, Done, document, run
from .conftest import breakpoint

pytestmark = pytest.mark.slow  # an environment is made


def test_it_fits_the_schema_of_github() -> None:
    pytest.importorskip("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    checked = subprocess.run(
        [*command, "vendor.github-actions", str(ACTION)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_no_input_is_put_into_a_script() -> None:
    """What is put into a script may hold more than it seems to."""
    for step in document()["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "a workspace" / "s s"
    folder.mkdir(parents=True)
    (folder / "good.vcpu.yaml").write_text(breakpoint())
    (folder / "wrong.vcpu.yaml").write_text(breakpoint(8))
    return folder.parent


@pytest.fixture
def ran(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """The action after its first step, which installs: what is installed here serves as well."""
    temp = workspace.parent / "temp"
    bin_ = temp / "vcpu-scenario" / "bin"
    bin_.mkdir(parents=True)
    python, scenario, pip = bin_ / "python", bin_ / "scenario", workspace.parent / "bin"
    pip.mkdir()
    (pip / "python").write_text("#!/bin/sh\nexit 0\n")
    (pip / "python").chmod(0o755)
    python.write_text(f'#!/bin/sh\ncase "$1$2" in -mpip) exit;; esac\nexec {sys.executable} "$@"\n')
    scenario.write_text(f'#!/bin/sh\nexec {sys.executable} -m vcpu_scenario "$@"\n')
    for each in (python, scenario):
        each.chmod(0o755)
    monkeypatch.setenv("PATH", str(pip), prepend=":")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "runner"))

    def done(**inputs: str) -> Done:
        return run(workspace, temp, {name.replace("_", "-"): v for name, v in inputs.items()})

    return done


def test_it_annotates_what_differs_and_fails(workspace: Path, ran: Callable[..., Done]) -> None:
    done = ran(paths="s s", kernels="6.12\n>=7.2", report="report.xml", html="r.html")
    assert done.status == 1, done.log
    assert "::error file=s s/wrong.vcpu.yaml,line=" in done.log
    assert done.outputs == {"status": "1", "passed": "3", "failed": "3", "report": "report.xml"}
    assert done.summary.startswith("## vCPU scenarios: 3 failed, 3 passed")
    assert (workspace / "report.xml").is_file()
    assert (workspace / "r.html").is_file()


def test_it_passes_where_all_is_as_expected(workspace: Path, ran: Callable[..., Done]) -> None:
    done = ran(paths="s s\n", keyword="good and not wrong", kernels="6.12")
    assert done.status == 0, done.log
    assert done.outputs == {"status": "0", "passed": "1", "failed": "0", "report": ""}
    assert "::error" not in done.log


@pytest.mark.parametrize(
    ("inputs", "status"),
    [
        ({"paths": "nowhere"}, "4"),
        ({"paths": "--version"}, "4"),
        ({"kernels": "newest"}, "4"),
        ({"keyword": "nothing"}, "5"),
        ({"tags": "$(touch run)"}, "5"),
    ],
)
def test_what_cannot_be_run_fails_with_its_status(
    inputs: dict[str, str], status: str, workspace: Path, ran: Callable[..., Done]
) -> None:
    done = ran(**inputs)
    assert done.status == int(status), done.log
    assert done.outputs == {"status": status, "passed": "0", "failed": "0", "report": ""}
    assert not (workspace / "run").exists()


def test_paths_are_those_of_its_folder(workspace: Path, ran: Callable[..., Done]) -> None:
    done = ran(working_directory="s s", paths="wrong.vcpu.yaml", kernels="6.12")
    assert done.status == 1, done.log
    assert "::error file=s s/wrong.vcpu.yaml,line=" in done.log


def test_the_workflow_of_the_tests_uses_it() -> None:
    assert "uses: ./" in (ROOT / ".github/workflows/tests.yml").read_text()
