"""Which scenarios a run without a path is about, and how long one of them may take."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

import pytest
from vcpu_scenario.cli import run as command
from vcpu_scenario.errors import UsageError
from vcpu_scenario.running.project import paths_of_project

from tests.commandline import Scenario, in_folder

TEXT = """\
title: t
guest: {at: 0x40000000, words: [0x14000000]}
limits: {instructions: 1000}
expect: [{exits: [interrupted: {}]}]
"""


@pytest.fixture
def scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Scenario:
    """In a folder with scenarios, and one that is none, in a folder for what is none."""
    for name, text in (("vcpu/a", TEXT), ("b", TEXT), ("tests/data/none", "title: 1: 2")):
        path = tmp_path / f"{name}.vcpu.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return in_folder(tmp_path, monkeypatch, capsys)


def ran(scenario: Scenario, *more: str) -> tuple[int, list[str]]:
    outcome = scenario("run", "--kernel", "6.12", "-j", "0", *more)
    return outcome.status, [line.split()[0] for line in outcome.out.splitlines() if " ." in line]


def test_a_run_without_a_path_is_about_all_of_this_folder(scenario: Scenario) -> None:
    assert ran(scenario) == (4, [])
    Path("tests/data/none.vcpu.yaml").unlink()
    assert ran(scenario) == (0, ["b.vcpu.yaml", "vcpu/a.vcpu.yaml"])
    Path("pyproject.toml").write_text("[tool.vcpu-scenario]\n[tool.ruff]\n")
    assert ran(scenario) == (0, ["b.vcpu.yaml", "vcpu/a.vcpu.yaml"])


def test_a_project_says_where_its_scenarios_are(scenario: Scenario) -> None:
    Path("pyproject.toml").write_text('tool.vcpu-scenario.paths = ["vcpu"]\n')
    assert ran(scenario) == (0, ["vcpu/a.vcpu.yaml"])
    assert ran(scenario, "b.vcpu.yaml") == (0, ["b.vcpu.yaml"])


@pytest.mark.parametrize(
    "text",
    [
        "tool.vcpu-scenario.paths = []",
        "tool.vcpu-scenario.paths = 'vcpu'",
        "tool.vcpu-scenario.paths = [1]",
        "tool.vcpu-scenario.paths = ['/etc']",
        "tool.vcpu-scenario.paths = ['vcpu/../..']",
        "tool.vcpu-scenario = 1",
        "tool.vcpu-scenario.paths = [",
    ],
)
def test_what_is_no_list_of_paths_in_this_folder_is_an_error(scenario: Scenario, text: str) -> None:
    Path("pyproject.toml").write_text(text)
    outcome = scenario("run")
    assert outcome.status == 4
    assert "pyproject.toml" in outcome.err
    with pytest.raises(UsageError):
        paths_of_project()


@pytest.mark.slow
def test_a_case_takes_no_more_time_than_it_is_given(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = "{instructions: 100000000000, seconds: 600, exits: 100000}"
    Path("b.vcpu.yaml").write_text(TEXT.replace("{instructions: 1000}", limits))
    begun = monotonic()
    outcome = scenario("run", "b.vcpu.yaml", "--kernel", "6.12", "--timeout", "1")
    assert outcome.status == 1
    assert "the case was ended: it gave no result for 1 seconds" in outcome.out
    monkeypatch.setattr(command, "LONGEST", 31.0)
    assert "it gave no result for" in scenario("run", "b.vcpu.yaml", "--kernel", "6.12").out
    assert monotonic() - begun < 60
