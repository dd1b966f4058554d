"""What pytest collects: a file for each scenario, an item for each of its cases."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from vcpu_scenario.api import failure_text
from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.printable import printable, tamed
from vcpu_scenario.language.model import Scenario, ScenarioCase
from vcpu_scenario.language.permission import granting
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.pytest_plugin.settings import MARKER, allowed
from vcpu_scenario.running.execute import execute
from vcpu_scenario.running.paths import check_within, find
from vcpu_scenario.running.select import load_all
from vcpu_scenario.source import InvalidScenario
from vcpu_scenario.verdict.result import Result, Verdict

_TAG: Final = "a tag of scenarios"


class Failed(Exception):
    """A case is not as expected, or could not be run; the text is the command line's."""

    def __init__(self, result: Result) -> None:
        super().__init__(tamed(failure_text(result).removesuffix("\n")))


class ScenarioFile(pytest.File):
    """One ``*.vcpu.yaml``; a file that is no valid scenario is an error of the collection."""

    @classmethod
    def at(cls, path: Path, parent: pytest.Collector) -> ScenarioFile:
        """The file ``path``; its id and keywords can be printed and sent, whatever its name is."""
        if printable(str(path)) == str(path):
            return cls.from_parent(parent, path=path)
        try:
            relative = path.relative_to(parent.config.rootpath)
        except ValueError:
            relative = path
        named: dict[str, Any] = {
            "name": printable(path.name),
            "nodeid": printable(relative.as_posix()),
        }
        file: ScenarioFile = cls.from_parent(parent, path=path, **named)
        file.keywords = {printable(name): value for name, value in file.keywords.items()}
        return file

    def collect(self) -> Iterator[ScenarioItem]:
        try:
            scenario = self._load()
        except UsageError as error:
            raise self.CollectError(tamed(str(error))) from None
        except InvalidScenario as invalid:
            raise self.CollectError(tamed(str(invalid))) from None
        markers = [self._marker(tag) for tag in scenario.tags]
        for case in scenario.cases():
            item = ScenarioItem.from_parent(self, name=printable(_name(case)), case=case)
            for marker in (MARKER, *markers):
                item.add_marker(marker)
            yield item

    def _load(self) -> Scenario:
        with granting(allowed(self.config)):
            if not self.session.isinitpath(self.path):
                check_within(self.path, self.config.rootpath)
            return _load(self.path)

    def _marker(self, tag: str) -> str:
        """The marker for ``tag``: its own name, unless that means something to pytest already."""
        known = {
            name.partition(":")[0].partition("(")[0].strip(): words
            for name in self.config.getini("markers")
            for words in [name.partition(":")[2].strip()]
        }
        marker = tag if known.get(tag, _TAG) == _TAG else f"tag-{tag}"
        if marker not in known:
            self.config.addinivalue_line("markers", f"{marker}: {_TAG}")
        return marker


class ScenarioItem(pytest.Item):
    """One case."""

    def __init__(self, *, case: ScenarioCase, **more: Any) -> None:
        super().__init__(**more)
        self.case = case
        name = printable(case.id)
        self.extra_keyword_matches.add(name)
        self.user_properties += [("case", name), ("kernel", case.kernel), ("vmm", case.vmm)]

    def runtest(self) -> None:
        result = execute(self.case, create)
        if result.verdict is Verdict.SKIP:
            pytest.skip(printable(result.reason))
        if result.verdict is Verdict.XFAIL:
            pytest.xfail(printable(result.reason))
            # with --runxfail nothing is known to fail
            result = replace(result, verdict=Verdict.FAIL)
        if result.verdict is Verdict.ERROR and result.detail:
            self.add_report_section("call", "traceback", tamed(result.detail))
        if result.verdict is not Verdict.PASS:
            raise Failed(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The command line's text for a case that is not as expected."""
        if isinstance(excinfo.value, Failed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The clause that the case is held to; pytest counts lines from 0."""
        expectation = self.case.expectation
        line = expectation.span.line - 1 if expectation is not None else 0
        return Path(printable(str(self.path))), line, printable(self.case.id)


def _name(case: ScenarioCase) -> str:
    """``6.12/plain[width=4]``: what tells a case from the others of its scenario."""
    parameters = case.id.removeprefix(case.scenario.name).rpartition("@")[0]
    return printable(f"{case.kernel}/{case.vmm}{parameters}")


def _load(path: Path) -> Scenario:
    """The scenario as the command line loads it when it is given the path from here."""
    relative = os.path.relpath(path)
    shown = str(path) if relative.startswith(os.pardir) else relative
    scenarios, diagnostics = load_all(find([shown]))
    if diagnostics:
        raise InvalidScenario(diagnostics)
    return scenarios[0]
