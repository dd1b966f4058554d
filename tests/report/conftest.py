"""Results of every verdict, from the scenarios in ``data``."""

from __future__ import annotations

from pathlib import Path

import pytest
from vcpu_scenario.kernels.rules import Commit, Rule
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.report import cite
from vcpu_scenario.running.execute import execute
from vcpu_scenario.running.paths import find
from vcpu_scenario.running.select import Selection, load_all
from vcpu_scenario.verdict.result import Result, Verdict

DATA = Path(__file__).parent / "data"
KERNELS = ("4.18", "5.10", "6.4", "6.12")


class SomeRules(dict[str, Rule]):
    """Every rule there could be, so that a better wording of one changes no golden file."""

    def get(self, name: str, default: object = None) -> Rule:
        commit = Commit("0123456789ab", "KVM: arm64: A subject", "6.0")
        return Rule(name, (">=6.0",), "does what it does.", "recorded", (commit,))


@pytest.fixture(autouse=True)
def _in_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DATA)
    monkeypatch.setattr(cite, "_table", SomeRules)


def run(folder: str, *kernels: str) -> list[Result]:
    """The results of all scenarios in ``folder`` on ``kernels``."""
    scenarios, diagnostics = load_all(find([folder]))
    assert not diagnostics
    return [execute(case, create) for case in Selection(kernels).cases(scenarios)]


@pytest.fixture
def results() -> list[Result]:
    """Passes, failures, known ones, an unexpected pass, skips, and one error."""
    found = run("mixed", *KERNELS)
    broken = found[0]
    reason = "the runner failed: RuntimeError: <out of order> | 100%"
    detail = 'Traceback (most recent call last):\n  File "x.py", line 1\nRuntimeError: \x1b[31m'
    return [Result(broken.case, Verdict.ERROR, reason=reason, detail=detail), *found[1:]]
