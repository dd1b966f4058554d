"""A survey and its answers as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from msgspec.structs import astuple

from vcpu_scenario.interchange.cases import case_from_json, case_to_json
from vcpu_scenario.interchange.records import one_line
from vcpu_scenario.survey import (
    Answer,
    Answers,
    Ask,
    GetRegister,
    ListRegisters,
    PutRegister,
    RunOnce,
    Survey,
)

_ASKS: dict[str, type[Ask]] = {
    "list": ListRegisters,
    "get": GetRegister,
    "put": PutRegister,
    "run": RunOnce,
}
_NAMES = {kind: name for name, kind in _ASKS.items()}


def dump_survey(survey: Survey) -> str:
    """One line of JSON."""
    return one_line({"case": case_to_json(survey.case), "asks": list(map(_ask, survey.asks))})


def load_survey(line: str) -> Survey:
    """Raises ValueError where ``line`` is no survey."""
    document = json.loads(line)
    try:
        case = case_from_json(document["case"])
        return Survey(case, tuple(_ASKS[name](*fields) for name, *fields in document["asks"]))
    except (LookupError, TypeError) as error:
        raise ValueError(f"not a survey: {error}") from error


def dump_answers(answers: Answers) -> str:
    """One line of JSON."""
    return one_line(answers.given)


def load_answers(line: str) -> Answers:
    """Raises ValueError where ``line`` is no answers."""
    return Answers(tuple(_answers(json.loads(line))))


def _ask(ask: Ask) -> list[Any]:
    return [_NAMES[type(ask)], *astuple(ask)]


def _answers(document: Any) -> Iterator[Answer]:
    if not isinstance(document, list):
        raise ValueError("not answers to a survey")
    for answer in document:
        numbers = answer if isinstance(answer, list) else [answer]
        if not all(type(number) is int for number in numbers):
            raise ValueError("not an answer to a survey")
        yield tuple(answer) if isinstance(answer, list) else answer
