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
    ("text", "told"),
    [
        ("tool.vcpu-scenario.paths = []", "expected a list of folders or files in this folder"),
        ("tool.vcpu-scenario.paths = 'vcpu'", "expected a list of folders"),
        ("tool.vcpu-scenario.paths = [1]", "expected a list of folders"),
        ("tool.vcpu-scenario.paths = ['/etc']", "expected a list of folders"),
        ("tool.vcpu-scenario.paths = ['vcpu/../..']", "expected a list of folders"),
        ("tool.vcpu-scenario.paths = ['out']", "expected a list of folders"),
        ("tool.vcpu-scenario.paths = ['around']", "expected a list of folders"),
        ("tool.vcpu-scenario.paths = ['a\\u0000']".replace("'", '"'), "expected a list of folders"),
        ("tool.vcpu-scenario.path = ['vcpu']", "expected a table with the key paths"),
        ("tool.vcpu-scenario = 1", "expected a table with the key paths"),
        ("tool.vcpu-scenario.paths = [", "not TOML: Invalid value"),
        ("a = " + "[" * 20_000, "not TOML: nested too deep"),
        ("a" + ".a" * 40_000 + "=1", "pyproject.toml: "),
    ],
)
def test_what_is_no_list_of_paths_in_this_folder_is_an_error(
    scenario: Scenario, text: str, told: str
) -> None:
    Path("out").symlink_to("/etc")
    Path("around").symlink_to("around")
    Path("pyproject.toml").write_text(text)
    outcome = scenario("run")
    assert outcome.status == 4
    assert "pyproject.toml" in outcome.err
    assert told in outcome.err
    with pytest.raises(UsageError):
        paths_of_project()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("-j", "0"), "not with -j 0 or --cluster"),
        (("--cluster", "tcp://localhost:1"), "not with -j 0 or --cluster"),
        (("--timeout", "nan"), "expected seconds"),
    ],
)
def test_a_timeout_that_would_bound_nothing_is_refused(
    scenario: Scenario, more: tuple[str, ...], told: str
) -> None:
    outcome = scenario("run", "b.vcpu.yaml", "--kernel", "6.12", "--timeout", "2", *more)
    assert outcome.status == 4
    assert told in outcome.err


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
