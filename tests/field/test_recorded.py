"""Real kernels under tracers, as recorded in the lab: what is imported is what the model gives.

The model never makes up what is expected here: each trace is a real kernel's.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from vcpu_scenario.verdict.result import Verdict

from tests.field.held import differences, drafted
from tests.field.recorded import cases, kernels, texts

LEAST = 60
"""Traces by ftrace of each kernel."""

FEW = (
    "hypercalls/hvc-stepped",
    "in-kernel/ioeventfd-stepped",
    "mmio/widths-and-extensions",
    "no-syndrome/goes-on-after-enosys",
)


@pytest.mark.parametrize("kernel", kernels())
@pytest.mark.parametrize("name", FEW)
def test_a_scenario_under_ftrace_is_imported_as_it_is(
    tmp_path: Path, kernel: str, name: str
) -> None:
    full = f"scenarios/{name}@{kernel}/plain"
    assert differences(tmp_path, cases(kernel)[full], texts(kernel)["ftrace"][full]) == []


@pytest.mark.slow
@pytest.mark.parametrize("kernel", kernels())
def test_every_recorded_scenario_is_imported_as_it_is(tmp_path: Path, kernel: str) -> None:
    found = {
        f"{tracer}: {name}": said
        for tracer, traced in texts(kernel).items()
        for name, text in traced.items()
        if (said := differences(tmp_path, cases(kernel)[name], text))
    }
    assert found == {}
    assert len(texts(kernel)["ftrace"]) >= LEAST


@pytest.mark.slow
@pytest.mark.parametrize("kernel", kernels())
def test_most_drafts_run_and_give_the_exits_of_their_trace(tmp_path: Path, kernel: str) -> None:
    traced = texts(kernel)["ftrace"].values()
    passed = [drafted(tmp_path, text, kernel).verdict is Verdict.PASS for text in traced]
    assert sum(passed) >= len(passed) * 2 // 3


def test_all_tracers_are_recorded() -> None:
    assert {"6.12", "7.2"} <= set(kernels())
    assert len(texts("6.12")["strace"]) == 3
    assert len(texts("7.2")["trace_cmd"]) == 4
