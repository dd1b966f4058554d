"""From a JSON report back to results, so that every other report can be made of it.

The report holds the run, not the scenario: the scenarios are loaded again and the runs judged
again. What comes out must be what the report says, in every word; so a scenario that was changed
since, or another version of this package, is noticed and nothing is told that was not so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec.structs import replace

from vcpu_scenario.host.printable import printable
from vcpu_scenario.interchange.traces import trace_from_json
from vcpu_scenario.report.json import case_of
from vcpu_scenario.running.execute import judged
from vcpu_scenario.verdict.records import END, Cause
from vcpu_scenario.verdict.result import Result, Verdict

if TYPE_CHECKING:
    from vcpu_scenario.language import Scenario, ScenarioCase

Json: TypeAlias = Mapping[str, Any]


class Unreadable(ValueError):
    """A report, or a case of it, that cannot be read; the message says which and why."""


class Reader:
    """Reads cases of reports; loads each scenario once.

    ``load`` gives the scenario in a file, by the path that the report names.
    """

    def __init__(self, load: Callable[[Path], Scenario]) -> None:
        self._load = load
        self._scenarios: dict[str, Scenario] = {}

    def result(self, document: Json) -> Result:
        """The result that :func:`vcpu_scenario.report.json.case_of` wrote as ``document``.

        The traceback of an error is not in the report. Raises :class:`Unreadable`, and what
        ``load`` raises.
        """
        try:
            case = self._case(document)
            verdict = Verdict(document["verdict"])
            if verdict.is_judged:
                result = _cited(judged(case, trace_from_json(document)), document)
            else:
                result = Result(case, verdict, reason=document.get("reason", ""))
            same = json.loads(json.dumps(case_of(result))) == document
        except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
            if isinstance(error, Unreadable):
                raise
            name = printable(str(document["id"]))
            what = printable(str(error).partition("\n")[0][:200])
            raise Unreadable(f"{name}: not what scenario run writes: {what}") from error
        if not same:
            raise Unreadable(
                f"{printable(case.id)}: the report is not on this version of"
                f" {printable(case.scenario.path)}, or was"
                " made by another version of vcpu-scenario: run the case again"
            )
        return result

    def _case(self, document: Json) -> ScenarioCase:
        name, kernel, vmm = document["id"], document["kernel"], document["vmm"]
        parameters = document.get("params", {})
        scenario = self._scenario(document["scenario"])
        for combination in scenario.combinations:
            end = f"{combination.name}@{kernel}/{vmm}"
            if dict(combination.params) == parameters and name.endswith(end):
                called = replace(scenario, name=name.removesuffix(end))
                found = (case for case in called.cases([kernel], [vmm]) if case.id == name)
                for case in found:
                    return case
        raise Unreadable(f"{printable(scenario.path)} has no case {printable(name)} any more")

    def _scenario(self, path: str) -> Scenario:
        if path not in self._scenarios:
            self._scenarios[path] = self._load(Path(path))
        return self._scenarios[path]


def _cited(result: Result, document: Json) -> Result:
    """With the rules that the machine was found to have; they are not looked for again."""
    causes = tuple(
        Cause(tuple(each["rules"]), END if each["exit"] is None else each["exit"])
        for each in document.get("causes", ())
    )
    if len(document["mismatches"]) != len(result.mismatches):
        return result  # which then is not what the report says
    mismatches = tuple(
        replace(mismatch, rules=tuple(rule["name"] for rule in told["rules"]))
        for mismatch, told in zip(result.mismatches, document["mismatches"], strict=True)
    )
    return replace(result, causes=causes, mismatches=mismatches)
