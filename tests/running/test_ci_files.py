"""The workflow and the example for GitLab: valid, and every script in them does its work."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import breakpoint

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github/workflows/scenarios.yml"
TESTS = ROOT / ".github/workflows/tests.yml"
GITLAB = ROOT / "examples/gitlab-ci.yml"
GITLAB_SHARDS = ROOT / "examples/gitlab-shards.yml"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.github-workflows", WORKFLOW),
        ("vendor.github-workflows", TESTS),
        ("vendor.gitlab-ci", GITLAB),
        ("vendor.gitlab-ci", GITLAB_SHARDS),
    ],
)
def test_a_ci_file_fits_the_schema_of_its_service(schema: str, file: Path) -> None:
    pytest.importorskip("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


class Job:
    """Runs a job's scripts as the services do: each by ``bash``, ended by what fails in it."""

    def __init__(self, folder: Path) -> None:
        (folder / "bin").mkdir()
        scenario = folder / "bin" / "scenario"
        scenario.write_text(f'#!/bin/sh\nexec {sys.executable} -m vcpu_scenario "$@"\n')
        scenario.chmod(0o755)
        self.folder = folder
        self.environment = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "runner"),
            "SCENARIOS": "s",
        }

    def run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script],
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def job(folder: Path) -> Job:
    return Job(folder)


def load(file: Path) -> dict[Any, Any]:
    document = yaml.safe_load(file.read_text())
    assert isinstance(document, dict)
    return document


def github_script(job: str) -> str:
    """What a job of the workflow does with ``scenario``."""
    steps = load(WORKFLOW)["jobs"][job]["steps"]
    (script,) = (step["run"] for step in steps if "scenario " in step.get("run", ""))
    assert "${{" not in script, "what is put into a script may hold more than it seems to"
    return str(script)


def github_matrix(job: Job) -> list[dict[str, Any]]:
    output = job.folder / "output"
    planned = job.run(github_script("plan"), GITHUB_OUTPUT=str(output))
    assert planned.returncode == 0, planned.stderr
    name, _, value = output.read_text().strip().partition("=")
    assert name == "matrix"
    return list(json.loads(value)["include"])


@pytest.mark.slow
def test_the_workflow_shares_out_runs_and_joins(job: Job) -> None:
    for entry in github_matrix(job):
        ran = job.run(github_script("run"), SHARD=entry["shard"])
        assert ran.returncode == 1, ran.stderr
    (job.folder / "results").mkdir()
    for file in job.folder.glob("results-*.json"):
        file.rename(job.folder / "results" / file.name)
    joined = job.run(github_script("report"))
    assert joined.returncode == 1
    assert "::error file=s/wrong.vcpu.yaml,line=" in joined.stdout
    assert (job.folder / "report.html").exists()
    assert (job.folder / "report.xml").exists()


@pytest.mark.slow
def test_the_workflow_fails_where_there_is_nothing_to_run(job: Job) -> None:
    planned = job.run(github_script("plan"), GITHUB_OUTPUT="/dev/null", SCENARIOS="bin")
    assert planned.returncode == 5


@pytest.mark.slow
def test_the_workflow_fails_where_no_shard_left_anything(job: Job) -> None:
    (job.folder / "results").mkdir()
    assert job.run(github_script("report")).returncode == 4


def test_the_workflow_joins_also_what_failed() -> None:
    jobs = load(WORKFLOW)["jobs"]
    assert jobs["run"]["strategy"]["fail-fast"] is False
    assert set(jobs["report"]["needs"]) == {"plan", "run"}
    for entry in (jobs["report"], jobs["run"]["steps"][-1]):
        assert "!cancelled()" in entry["if"]


def gitlab_script(job: dict[str, Any]) -> str:
    """As GitLab's runner does it: every entry a command of its own."""
    return "\n".join(line for line in job["script"] if "pip install" not in line)


@pytest.mark.slow
def test_the_example_for_gitlab_shares_out_runs_and_joins(job: Job) -> None:
    (job.folder / "s" / "wrong.vcpu.yaml").write_text(breakpoint())
    planned = job.run(gitlab_script(load(GITLAB)["plan"]))
    assert planned.returncode == 0, planned.stderr
    child = load(GITLAB_SHARDS) | load(job.folder / "shards.yml")
    scenarios = child["scenarios"]
    template = child[scenarios["extends"]]
    (variables,) = scenarios["parallel"]["matrix"]
    for shard in variables["SHARD"]:
        ran = job.run(gitlab_script(template), SHARD=shard)
        assert ran.returncode == 0, ran.stderr
    joined = job.run(gitlab_script(child["report"]))
    assert joined.returncode == 0, joined.stderr
    for path in child["report"]["artifacts"]["paths"]:
        assert (job.folder / path).exists()
    assert child["stages"].index(template["stage"]) < child["stages"].index(
        child["report"]["stage"]
    )
    assert child["report"]["when"] == "always"


@pytest.mark.slow
def test_the_example_for_gitlab_misses_a_shard(job: Job) -> None:
    (job.folder / "s" / "wrong.vcpu.yaml").write_text(breakpoint())
    template = load(GITLAB_SHARDS)[".scenario-shard"]
    assert job.run(gitlab_script(template), SHARD="1/2").returncode == 0
    joined = job.run(gitlab_script(load(GITLAB_SHARDS)["report"]))
    assert joined.returncode == 2
    assert "no report on shard 2/2" in joined.stdout


def test_the_example_for_gitlab_names_the_files_that_there_are() -> None:
    include = load(GITLAB)["run"]["trigger"]["include"]
    local, artifact = include
    assert local == {"local": GITLAB_SHARDS.name}
    plan = load(GITLAB)[artifact["job"]]
    assert plan["artifacts"]["paths"] == [artifact["artifact"]]
    assert any(re.search(rf"> {artifact['artifact']}$", line) for line in plan["script"])


def test_the_tests_run_on_every_python_that_the_project_supports() -> None:
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    found = [
        re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", one) for one in classifiers
    ]
    supported = [match[1] for match in found if match]
    assert len(supported) >= 4
    for name in ("lint", "tests"):
        assert load(TESTS)["jobs"][name]["strategy"]["matrix"]["python"] == supported
    (coverage,) = load(TESTS)["jobs"]["coverage"]["steps"][1]["with"].values()
    assert coverage == supported[-1]


def test_every_command_of_the_tests_workflow_is_one_that_is_here() -> None:
    """Each step is one command of the project: nothing is checked there that cannot be run here."""
    for job in load(TESTS)["jobs"].values():
        for step in job["steps"]:
            if "run" in step:
                command = step["run"].split()[0]
                assert (ROOT / command).exists() or command.startswith(".venv/bin/"), command


@pytest.mark.parametrize("file", [WORKFLOW, TESTS], ids=lambda file: file.name)
def test_actions_are_pinned_to_the_same_major_version(file: Path) -> None:
    used = set(re.findall(r"uses: (\S+)@(\S+)", file.read_text()))
    assert used <= set(re.findall(r"uses: (\S+)@(v\d+)", WORKFLOW.read_text()))
