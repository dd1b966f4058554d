"""The pytest plugin: scenarios as tests, and a fixture to run one from a test in Python.

Scenarios are collected where pytest's configuration says ``vcpu_scenarios = true``, and where a
``*.vcpu.yaml`` file is named on the command line. Each case is a test: its place is the clause
of ``expect:`` that it is held to, the scenario's tags are its markers, and ``-k`` finds it by
its id.

This module is imported by every run of pytest wherever the package is installed, so it imports
nothing of what runs a scenario before there is one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vcpu_scenario.pytest_plugin.settings import ALLOW, ALLOWED, MARKER

if TYPE_CHECKING:
    from vcpu_scenario.pytest_plugin.fixture import ScenarioRunner
    from vcpu_scenario.pytest_plugin.nodes import ScenarioFile

_INI = "vcpu_scenarios"
_SUFFIX = ".vcpu.yaml"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        _INI, f"collect scenarios (*{_SUFFIX}) as tests, one for each case", "bool", default=False
    )
    parser.addini(ALLOWED, "folders that scenarios may name files in, beside their own", "paths")
    parser.getgroup("vcpu-scenario").addoption(
        ALLOW,
        action="append",
        default=[],
        metavar="DIR",
        help=f"let scenarios name files in DIR, beside those in their own folder; with {ALLOWED}",
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


@pytest.fixture
def scenario_runner(request: pytest.FixtureRequest) -> ScenarioRunner:
    """Run scenarios: files, texts, or documents that the test builds. A ``ScenarioRunner``."""
    from vcpu_scenario.pytest_plugin.fixture import ScenarioRunner

    return ScenarioRunner(request)
