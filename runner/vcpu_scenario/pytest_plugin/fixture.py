"""The fixture ``scenario_runner``: scenarios from a test in Python."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any, TypeAlias

import pytest

from vcpu_scenario import api
from vcpu_scenario.language.model import Scenario, ScenarioCase
from vcpu_scenario.language.permission import granting
from vcpu_scenario.pytest_plugin.settings import allowed
from vcpu_scenario.verdict.result import Result, Verdict

Source: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | Scenario | ScenarioCase"
"""A scenario: its path from the test's folder, its text (of several lines), or its keys and
values as Python has them; or one that is loaded, or one of its cases."""


class ScenarioRunner:
    """Runs scenarios; what it is given as text or in Python it keeps in ``tmp_path``."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self._written = 0

    def load(self, source: Source) -> Scenario:
        """Load a scenario. Raises :class:`~vcpu_scenario.source.InvalidScenario`."""
        found = self._found(source)
        if isinstance(found, ScenarioCase):
            return found.scenario
        if isinstance(found, Scenario):
            return found
        with granting(allowed(self._request.config)):
            return api.load(found)

    def run(
        self,
        source: Source,
        kernels: str | Iterable[str] | None = None,
        vmms: str | Iterable[str] | None = None,
        **selection: Any,
    ) -> list[Result]:
        """Run the selected cases as :func:`vcpu_scenario.api.run` does, and check nothing."""
        with granting(allowed(self._request.config)):
            return api.run(self._found(source), kernels, vmms, **selection)

    def check(
        self,
        source: Source,
        kernels: str | Iterable[str] | None = None,
        vmms: str | Iterable[str] | None = None,
        **selection: Any,
    ) -> list[Result]:
        """Run the selected cases, and fail the test unless all are as expected.

        The test fails with the command line's text, and also where nothing is selected; it is
        skipped where every case is. What a scenario knows to fail is as expected.
        """
        __tracebackhide__ = True
        results = self.run(source, kernels, vmms, **selection)
        if text := api.failure_text(*results):
            pytest.fail(text.removesuffix("\n"), pytrace=False)
        if not results:
            pytest.fail("no case is selected", pytrace=False)
        if all(result.verdict is Verdict.SKIP for result in results):
            pytest.skip(results[0].reason)
        return results

    def _found(self, source: Source) -> Path | Scenario | ScenarioCase:
        if isinstance(source, (Scenario, ScenarioCase)):
            return source
        if isinstance(source, Mapping):
            return self._write(api.dumps(source))
        if isinstance(source, str) and "\n" in source:
            return self._write(dedent(source))
        return self._request.path.parent / source

    def _write(self, text: str) -> Path:
        folder: Path = self._request.getfixturevalue("tmp_path")
        self._written += 1
        number = "" if self._written == 1 else f"-{self._written}"
        path = folder / f"scenario{number}.vcpu.yaml"
        path.write_text(text, encoding="utf-8")
        return path
