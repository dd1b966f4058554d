"""The pytest plugin: scenarios as tests, and a fixture to run one from a test in Python.

Scenarios are collected where pytest's configuration says ``vcpu_scenarios = true``, and where a
``*.vcpu.yaml`` file is named on the command line. Each case is a test: its place is the clause
of ``expect:`` that it is held to, the scenario's tags are its markers, and ``-k`` finds it by
its id.

This module is imported by every run of pytest wherever the package is installed, so it imports
nothing of the package before there is a scenario.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from vcpu_scenario.pytest_plugin.fixture import ScenarioRunner
    from vcpu_scenario.pytest_plugin.nodes import ScenarioFile

MARKER = "vcpu"
"""The marker of every case."""

_INI = "vcpu_scenarios"
_ALLOWED = "vcpu_allow_dirs"
_SUFFIX = ".vcpu.yaml"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        _INI, f"collect scenarios (*{_SUFFIX}) as tests, one for each case", "bool", default=False
    )
    parser.addini(_ALLOWED, "folders that scenarios may name files in, beside their own", "paths")
    parser.getgroup("vcpu-scenario").addoption(
        "--vcpu-allow-dir",
        action="append",
        default=[],
        metavar="DIR",
        help=f"let scenarios name files in DIR, beside those in their own folder; with {_ALLOWED}",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARKER}: a case of a scenario")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    if not file_path.name.endswith(_SUFFIX):
        return None
    if not parent.session.isinitpath(file_path) and (
        not parent.config.getini(_INI) or file_path.name.startswith(".")
    ):
        return None
    from vcpu_scenario.pytest_plugin.nodes import ScenarioFile

    return ScenarioFile.at(file_path, parent)


def allowed(config: pytest.Config) -> list[Path]:
    """The folders that scenarios may name files in, beside their own."""
    asked = [config.invocation_params.dir / each for each in config.getoption("--vcpu-allow-dir")]
    return [*config.getini(_ALLOWED), *asked]


@pytest.fixture
def scenario_runner(request: pytest.FixtureRequest) -> ScenarioRunner:
    """Run scenarios: files, texts, or documents that the test builds. A ``ScenarioRunner``."""
    from vcpu_scenario.pytest_plugin.fixture import ScenarioRunner

    return ScenarioRunner(request)
