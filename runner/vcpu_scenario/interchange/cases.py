"""A case as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from vcpu_scenario.case import Case
from vcpu_scenario.interchange.records import decode, encode, one_line


def case_to_json(case: Case) -> dict[str, Any]:
    """The case as what :func:`json.dumps` takes."""
    return encode(case)


def case_from_json(document: Mapping[str, Any]) -> Case:
    """The case that :func:`case_to_json` wrote; raises ValueError where it did not."""
    return decode(Case, document)


def dump_case(case: Case) -> str:
    """One line of JSON."""
    return one_line(case_to_json(case))


def load_case(line: str) -> Case:
    """Raises ValueError where ``line`` is no case."""
    return case_from_json(json.loads(line))
