"""From a JSON report back to results, so that every other report can be made of it.

The report holds the run, not the scenario: the scenarios are loaded again and the runs judged
again. What comes out must be what the report says, in every word; so a scenario that was changed
since, or another version of this package, is noticed and nothing is told that was not so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from vcpu_scenario.host.printable import printable
from vcpu_scenario.report.json import case_of
from vcpu_scenario.running.execute import judged
from vcpu_scenario.trace import Exit, Kick, Ring, RingEntry, Trace, Unmodelled
from vcpu_scenario.verdict.records import END, Cause
from vcpu_scenario.verdict.result import Result

if TYPE_CHECKING:
    from vcpu_scenario.language import Scenario, ScenarioCase

Json: TypeAlias = Mapping[str, Any]

_HEAD = ("exit", "ret", "errno", "pc", "regs")
_NOT_JUDGED = ("skip", "error")


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
            if document["verdict"] in _NOT_JUDGED:
                result = Result(case, document["verdict"], reason=document.get("reason", ""))
            else:
                result = _cited(judged(case, trace_of(document)), document)
            same = json.loads(json.dumps(case_of(result))) == document
        except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
            if isinstance(error, Unreadable):
                raise
            what = printable(str(error)[:200])
            raise Unreadable(f"not a case of a report: {type(error).__name__}: {what}") from error
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
    mismatches = tuple(
        replace(mismatch, rules=tuple(rule["name"] for rule in told["rules"]))
        for mismatch, told in zip(result.mismatches, document["mismatches"], strict=False)
    )
    return replace(result, causes=causes, mismatches=mismatches)


def trace_of(document: Json) -> Trace:
    """The trace in a case of a report."""
    _number(document.get("errno", 0), "errno")
    _number(document.get("eventfd", []), "eventfd")
    _registers(document.get("final_regs", {}), "final_regs")
    _text(document.get("ended", ""), "ended")
    _text(document.get("error") or "", "error")
    return Trace(
        tuple(_exit(exit_) for exit_ in document["exits"]),
        tuple(document.get("eventfd", ())),
        _ring(document.get("ring")),
        document.get("error"),
        document.get("errno", 0),
        document.get("final_regs", {}),
        {item["addr"]: bytes.fromhex(item["data"]) for item in document.get("memory", ())},
        {name: data.encode("latin-1") for name, data in document.get("output", {}).items()},
        document.get("ended", ""),
        _unmodelled(document.get("not_modelled")),
        tuple(map(_kick, document.get("kicks", ()))),
    )


def _kick(document: Json) -> Kick:
    _number([document["entry"], document["pc"]], "kicks")
    return Kick(document["entry"], document["pc"])


def _unmodelled(document: Json | None) -> Unmodelled | None:
    return None if document is None else Unmodelled(document["what"], document["pc"])


def _exit(document: Json) -> Exit:
    for name, value in document.items():
        _SHAPES.get(name, _number)(value, name)
    return Exit(
        document["exit"],
        document["ret"],
        document.get("errno", 0),
        document["pc"],
        {name: value for name, value in document.items() if name not in _HEAD},
        document["regs"],
    )


def _ring(document: Json | None) -> Ring | None:
    if document is None:
        return None
    _number([document["first"], document["last"]], "ring")
    _number([entry[key] for entry in document["entries"] for key in ("addr", "len")], "ring")
    entries = (
        RingEntry(entry["addr"], entry["len"], bytes.fromhex(entry["data"]))
        for entry in document["entries"]
    )
    return Ring(document["first"], document["last"], tuple(entries))


def _number(value: Any, name: str) -> None:
    numbers = value if isinstance(value, list) else [value]
    if not all(type(number) is int and abs(number) < 1 << 64 for number in numbers):
        raise TypeError(f"{name} is no number")


def _registers(value: Any, name: str) -> None:
    for number in value.values():
        _number([number], name)


def _text(value: Any, name: str) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text")


def _bytes(value: Any, name: str) -> None:
    if isinstance(value, str):
        bytes.fromhex(value)
    else:
        _number(value, name)


def _texts(value: Any, name: str) -> None:
    for text in value:
        _text(text, name)


_SHAPES: Final[Mapping[str, Callable[[Any, str], None]]] = {
    "exit": _text,
    "regs": _registers,
    "data": _bytes,
    "rules": _texts,
}
"""Of the fields of an exit that are not numbers."""
