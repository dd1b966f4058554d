"""docs/tutorial.md, followed word by word.

pytest --regenerate-golden tests/docs     puts what the commands print now into the page
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from vcpu_scenario.assembly.assemblers import installed
from vcpu_scenario.language.schema import schema_text

from tests import goldenfiles
from tests.editor.client import LanguageServer
from tests.editor.marked import HEAD, cursor

from .follow import Shell, Step, agrees, block, elided, patched, steps
from .markdown import Fence, fences

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs/tutorial.md"

FAIL: Final = [
    ("scenario check vcpu", 4),
    ("scenario run vcpu --kernel 5.10 --kernel 6.12", 1),
    ("scenario explain vcpu/poll-until-ready.vcpu.yaml --kernel 5.10", 1),
]
"""Commands that the reader is told will fail at first, with their status."""

INSTALL: Final = "SCENARIO_TEST_INSTALL"
"""Set where the job shall install the project as the page says, which needs a package index."""

pytestmark = pytest.mark.skipif(not installed(), reason="no assembler for the guest's code")


@dataclass
class Reader:
    """Who follows the page in ``folder``; ``look`` sees each fence before it is followed."""

    folder: Path
    look: Callable[[Fence], None] = lambda fence: None
    done: dict[int, list[Step]] = field(default_factory=dict)
    statuses: list[tuple[str, int]] = field(default_factory=list)

    @property
    def project(self) -> Path:
        return self.folder / "my-vmm"

    def follow(self, page: str) -> None:
        with Shell(self.folder, environment(self.folder)) as shell:
            for number, fence in enumerate(fences(page)):
                self.look(fence)
                if fence.kind == "console":
                    self.done[number] = [self._type(shell, step) for step in steps(fence.content)]
                elif "file" in fence.options:
                    self._write(fence)

    def _type(self, shell: Shell, step: Step) -> Step:
        printed, status = shell.type(step.command)
        self.statuses.append((step.command, status))
        return Step(step.command, printed)

    def _write(self, fence: Fence) -> None:
        path = self.project / fence.options["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        text = fence.content
        if fence.kind == "diff":
            text = patched(path.read_text(encoding="utf-8"), text)
        path.write_text(text, encoding="utf-8")


def environment(folder: Path) -> dict[str, str]:
    """That of a shell with the project's environment activated."""
    command = folder / "bin/scenario"
    command.parent.mkdir(exist_ok=True)
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m vcpu_scenario "$@"\n')
    command.chmod(0o755)
    person = {"NAME": "A Newcomer", "EMAIL": "newcomer@example.org"}
    return {
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        **{
            f"GIT_{who}_{what}": text
            for what, text in person.items()
            for who in ("AUTHOR", "COMMITTER")
        },
    }


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """One who has followed the page to its end."""
    found = Reader(tmp_path_factory.mktemp("tutorial"))
    found.follow(PAGE.read_text(encoding="utf-8"))
    return found


@pytest.mark.slow
def test_every_command_prints_what_the_page_shows(reader: Reader) -> None:
    text = PAGE.read_text(encoding="utf-8")
    shown = {
        number: steps(fence.content)
        for number, fence in enumerate(fences(text))
        if fence.kind == "console"
    }
    if goldenfiles.are_renewed():
        PAGE.write_text(regenerated(text, reader), encoding="utf-8")
        return
    for number, expected in shown.items():
        for step, found in zip(expected, reader.done[number], strict=True):
            assert agrees(step.shown, found.shown), f"$ {step.command}\n{found.shown}"


def regenerated(text: str, reader: Reader) -> str:
    lines = text.splitlines(keepends=True)
    for number, fence in reversed(list(enumerate(fences(text)))):
        if fence.kind == "console":
            pairs = zip(steps(fence.content), reader.done[number], strict=True)
            fresh = [
                step
                if agrees(step.shown, found.shown)
                else Step(found.command, elided(step.shown, found.shown))
                for step, found in pairs
            ]
            lines[fence.start : fence.end] = [block(fresh)]
    return "".join(lines)


@pytest.mark.slow
def test_only_what_is_meant_to_fails(reader: Reader) -> None:
    assert [found for found in reader.statuses if found[1] != 0] == FAIL


@pytest.mark.slow
def test_what_the_reader_ends_with_is_in_order(reader: Reader) -> None:
    env = environment(reader.folder)

    def status(*command: str) -> int:
        return subprocess.run(
            command, cwd=reader.project, env=env, check=False, capture_output=True
        ).returncode

    assert status("scenario", "run", "vcpu") == 0
    assert status("scenario", "fmt", "--check", "vcpu") == 0
    assert status("scenario", "assemble", "--check", "vcpu") == 0
    assert status("git", "diff", "--exit-code", "HEAD") == 0


@pytest.mark.slow
def test_the_case_is_not_one_that_is_shipped(reader: Reader) -> None:
    title = yaml.safe_load((reader.project / "vcpu/poll-until-ready.vcpu.yaml").read_text())[
        "title"
    ]
    shipped = "".join(path.read_text() for path in (ROOT / "scenarios").glob("**/*.vcpu.yaml"))
    assert title not in shipped


@pytest.mark.slow
def test_the_editor_shows_what_the_page_says(server: LanguageServer, tmp_path: Path) -> None:
    newcomer = Reader(tmp_path)
    seen: list[str] = []
    offered: dict[str, set[str]] = {}

    def look(fence: Fence) -> None:
        if "cursor" in fence.options:
            text, line, column = cursor(f"{HEAD}title: t\nguest: {{words: [1]}}\n{fence.content}")
            items = server.completions(ROOT / "scenarios/made.vcpu.yaml", text, line, column)
            offered[fence.options["cursor"]] = {item["label"] for item in items}
        elif "offered" in fence.options:
            assert set(fence.content.split()) == offered.pop(fence.options["offered"])
            seen.append("offered")
        elif "editor" in fence.options:
            path = newcomer.project / fence.options["editor"]
            found = server.diagnostics({path: path.read_text()})[path]
            assert "".join(map(_told, found)) == fence.content
            seen.append("underlined")

    newcomer.look = look
    newcomer.follow(PAGE.read_text(encoding="utf-8"))
    assert seen == ["offered", "underlined"]
    assert not offered


def _told(diagnostic: dict[str, Any]) -> str:
    start = diagnostic["range"]["start"]
    return f"{start['line'] + 1}:{start['character'] + 1} {diagnostic['message']}\n"


def job(project: Path) -> Iterator[tuple[str, str]]:
    """The commands of the workflow, with the names of their steps."""
    workflow = yaml.safe_load((project / ".github/workflows/scenarios.yml").read_text())
    (only,) = workflow["jobs"].values()
    for step in only["steps"]:
        if "run" in step:
            yield step["name"], step["run"]


@pytest.fixture
def checkout(reader: Reader, tmp_path: Path) -> Path:
    """What actions/checkout gives the job."""
    clone = tmp_path / "checkout"
    subprocess.run(["git", "clone", "--quiet", reader.project, clone], check=True)
    return clone


def run_job(checkout: Path, env: dict[str, str]) -> dict[str, int]:
    """Runs the job as a runner does, each step with ``bash -e``, until one fails."""
    statuses = {}
    for name, script in job(checkout):
        done = subprocess.run(["bash", "-e", "-c", script], cwd=checkout, env=env, check=False)
        statuses[name] = done.returncode
        if done.returncode:
            break
    return statuses


def without_install(env: dict[str, str]) -> dict[str, str]:
    """``env`` in which ``python -m pip install`` finds all that it is asked for installed."""
    python = Path(env["PATH"].partition(":")[0], "python")
    python.write_text('#!/bin/sh\n[ "$1 $2 $3" = "-m pip install" ]\n')
    python.chmod(0o755)
    return env


@pytest.mark.slow
def test_the_job_is_green(reader: Reader, checkout: Path, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    env = {**without_install(environment(tmp_path)), "GITHUB_STEP_SUMMARY": str(summary)}
    assert run_job(checkout, env) == {"Install": 0, "Check": 0, "Run": 0}
    assert "35 passed" in summary.read_text()


@pytest.mark.slow
def test_the_job_is_red_where_a_kernel_does_otherwise(checkout: Path, tmp_path: Path) -> None:
    path = checkout / "vcpu/poll-until-ready.vcpu.yaml"
    path.write_text(path.read_text().replace("regs: {x1: 0x20}", "regs: {x1: 0x21}"))
    env = without_install(environment(tmp_path))
    assert run_job(checkout, env) == {"Install": 0, "Check": 0, "Run": 1}


@pytest.mark.slow
def test_the_job_is_red_where_there_is_nothing_to_run(checkout: Path, tmp_path: Path) -> None:
    (checkout / "vcpu/poll-until-ready.vcpu.yaml").unlink()
    env = without_install(environment(tmp_path))
    assert run_job(checkout, env) == {"Install": 0, "Check": 5}


@pytest.mark.skipif(INSTALL not in os.environ, reason=f"{INSTALL} is not set")
def test_the_job_installs_the_project_as_the_page_says(checkout: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    pip = {name: text for name, text in os.environ.items() if name.startswith("PIP_")}
    env = {
        **kept,
        **pip,
        "PATH": f"{tmp_path}/venv/bin:{os.environ['PATH']}",
        "VCPU_SCENARIO": f"git+file://{ROOT}",
    }
    assert run_job(checkout, env) == {"Install": 0, "Check": 0, "Run": 0}
    # What is no module, the schema and the templates, has been installed with it.
    for command in ("scenario new first", "scenario run first.vcpu.yaml", "scenario schema"):
        subprocess.run(command.split(), cwd=tmp_path, env=env, check=True)
    assert (tmp_path / "scenario.schema.json").read_text() == schema_text()
