"""Cases as JSON."""

from __future__ import annotations

import ast
import json
import sys
from math import isfinite
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vcpu_scenario.case import Case, Load, Memslot
from vcpu_scenario.interchange import cases, records, traces
from vcpu_scenario.interchange.cases import case_from_json, case_to_json
from vcpu_scenario.recordings.jobs import jobs

from tests.language.build import EVERYTHING, scenario

RECORDED = sorted((Path(__file__).parents[1] / "recorded").glob("*.json.xz"))


def travelled(case: Case) -> Case:
    return case_from_json(json.loads(json.dumps(case_to_json(case))))


def is_finite(case: Case) -> bool:
    return isfinite(case.limits.seconds)


@pytest.mark.slow
@given(st.from_type(Case).filter(is_finite))
@settings(max_examples=100, deadline=None)
def test_any_case_comes_back_as_it_went(case: Case) -> None:
    assert travelled(case) == case


@pytest.mark.slow
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
def test_recorded_jobs_come_back_as_they_went(path: Path) -> None:
    cases = [job.case for job in jobs(path)]
    assert [travelled(case) for case in cases] == cases
    assert cases


def test_a_scenario_comes_back_as_it_went() -> None:
    for case in scenario(EVERYTHING).cases():
        assert travelled(case.case) == case.case


def test_a_kernels_worth_of_bytes_is_packed() -> None:
    case = Case((Memslot(0, 1 << 22),), (Load(0, bytes(range(256)) * (1 << 13)),))
    assert len(json.dumps(case_to_json(case))) < 1 << 16
    assert travelled(case) == case


@pytest.mark.parametrize("data", ["zlib:", "zlib:AAAA", "zlib:?"])
def test_bytes_that_cannot_be_unpacked_are_refused(data: str) -> None:
    document = {"slots": [], "loads": [{"addr": 0, "data": data}]}
    with pytest.raises(ValueError, match=r"."):
        case_from_json(document)


def test_bytes_that_unpack_to_more_than_a_scenario_has_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vcpu_scenario.interchange.records._MOST_UNPACKED", 1 << 20)
    for size, fits in ((1 << 20, True), ((1 << 20) + 1, False)):
        case = Case((Memslot(0, 1 << 22),), (Load(0, bytes(size)),))
        document = case_to_json(case)
        if fits:
            assert case_from_json(document) == case
        else:
            with pytest.raises(ValueError, match="unpacked"):
                case_from_json(document)


def test_defaults_are_left_out() -> None:
    assert case_to_json(Case((Memslot(0, 4096),))) == {"slots": [{"base": 0, "size": 4096}]}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"slots": [{"base": 0}]},
        {"slots": [], "slot": 1},
        {"slots": [], "before": [{"do": "Nothing"}]},
        {"slots": [], "before": [{}]},
        {"slots": [], "loads": [{"addr": 0, "data": "0"}]},
        {"slots": [], "limits": 3},
        {"slots": [], "limits": {"seconds": json.loads("NaN")}},
        {"slots": [], "limits": {"seconds": json.loads("-Infinity")}},
        {"slots": [], "limits": {"seconds": 10**400}},
    ],
)
def test_what_is_no_case_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"not a case|hexadecimal"):
        case_from_json(document)


@pytest.mark.parametrize("module", [cases, records, traces], ids=lambda module: module.__name__)
def test_it_needs_nothing_but_the_standard_library_and_records(module: ModuleType) -> None:
    tree = ast.parse(Path(module.__file__ or "").read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    assert imported <= {*sys.stdlib_module_names, "vcpu_scenario", "msgspec"}
