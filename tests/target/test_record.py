"""Recording: a clause in a scenario whose other text stays, and traces that conform reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.cli import main
from runner.oracle import jobs

TEXT = """\
# above
title: step over a load
guest:
  at: 0x40000000
  words: [0xd2a12000, 0xb9401801, 0x91000442, 0xd42000e0]   # mov, ldr, add, brk
debug: {single_step: true, software_breakpoints: true}

expect:
  # old
  - kernels: "5.10"   # beside
    exits: []
  # new
  - kernels: ">=5.11"
    exits: [debug: {step: 0x40000008}]
  # below
"""


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CI", raising=False)
    path = tmp_path / "a.vcpu.yaml"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize("kernel", ["5.10", "6.12"])
def test_what_is_recorded_passes_and_all_else_stays(scenario: Path, kernel: str) -> None:
    assert main(["record", str(scenario), "--machine", f"emulated:{kernel}", "--yes"]) == 0
    assert main(["run", str(scenario), "--kernel", kernel]) == 0
    left = [line for line in TEXT.splitlines() if "5.10" not in line and "[]" not in line]
    kept = scenario.read_text().splitlines()
    assert [line for line in kept if line in left] == left


def test_nothing_is_written_unasked(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", str(scenario), "--machine", "emulated:6.12"]) == 1
    assert scenario.read_text() == TEXT
    assert '+  - kernels: "6.12"' in capsys.readouterr().out


def test_nothing_is_recorded_in_ci(scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert main(["record", str(scenario), "--machine", "emulated:6.12", "--yes"]) == 4
    assert scenario.read_text() == TEXT


def test_recorded_traces_are_reproduced(scenario: Path, tmp_path: Path) -> None:
    traces = tmp_path / "traces.json"
    command = ["record", str(scenario), "--machine", "emulated:6.12", "--format", "oracle"]
    assert main([*command, "--output", str(traces)]) == 0
    (job,) = jobs(traces)
    assert [trace.kernels for trace in job.traces] == [("6.12",)]
    assert main(["conform", str(traces)]) == 0
    document = json.loads(traces.read_text())
    document[0]["traces"][0]["exits"][0]["pc"] += 4
    traces.write_text(json.dumps(document))
    assert main(["conform", str(traces)]) == 1


def test_two_kernels_are_shown_side_by_side(
    scenario: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machines = ["--machine", "emulated:5.10", "--machine", "emulated:6.12"]
    assert main(["compare", str(scenario), *machines, "--color", "never"]) == 1
    out = capsys.readouterr().out
    assert "emulated:5.10" in out
    assert "= flags: nothing, not 0x1" in out


def test_a_machine_compared_with_itself_does_not_differ(scenario: Path) -> None:
    machines = ["--machine", "emulated:6.12", "--machine", "emulated:6.12"]
    assert main(["compare", str(scenario), *machines]) == 0
