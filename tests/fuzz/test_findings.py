"""What fuzzing found stays mended, and a little fuzzing finds nothing new."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from vcpu_scenario.interchange.cases import case_from_json

from tests.fuzz.__main__ import fuzz
from tests.fuzz.targets import TARGETS, LoaderTarget, MachineTarget

FINDINGS = Path(__file__).parent / "findings"
CASES = sorted(FINDINGS.glob("machine-*.case.json"))
_COST = {"assembler": 20, "papers": 3}
"""How many times longer than others an input takes."""
DOCUMENTS = sorted(FINDINGS.glob("loader-*.vcpu.yaml"))


def test_cases_that_were_findings_are_none_in_any_order() -> None:
    target = MachineTarget()
    for path in (*CASES, *reversed(CASES)):
        document = json.loads(path.read_text())
        target.run_case(case_from_json(document["case"]), document["kernel"])


@pytest.fixture(name="loader")
def _loader() -> Iterator[LoaderTarget]:
    target = LoaderTarget()
    yield target
    target.close()


def test_documents_that_were_findings_are_none(loader: LoaderTarget) -> None:
    for path in DOCUMENTS:
        loader.file.write_bytes(path.read_bytes())
        loader.run_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_a_little_fuzzing_finds_nothing(name: str, request: pytest.FixtureRequest) -> None:
    """``--fuzz N`` runs more inputs than the few hundred that there is time for always."""
    count = request.config.getoption("--fuzz") // _COST.get(name, 1)
    found = fuzz(name, 0, count, 1, lambda seed, what: None)
    assert found == {}


def test_a_finding_is_told_with_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(self: MachineTarget, seed: int) -> str:
        if seed == 12:
            raise RuntimeError("out of order")
        return "fine"

    monkeypatch.setattr(MachineTarget, "run", run)
    told: dict[int, str] = {}
    assert list(fuzz("machine", 10, 5, 1, told.__setitem__)) == [12]
    assert "out of order" in told[12]
