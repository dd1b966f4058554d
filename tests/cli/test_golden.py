"""What commands print, word for word."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import typer
from vcpu_scenario.kernels.rules import Commit, Rule
from vcpu_scenario.report import cite

from tests.commandline import Scenario

Golden = Callable[[str, str], None]

BAD_RECORDINGS = ("not.json", "text.json.xz", "cut.json.xz", "object.json", "shape.json")

COMMANDS = {
    "run-as-expected": ["run", "step"],
    "run-differences": ["run", "wrong"],
    "run-json": ["run", "wrong", "--kernel", "6.12", "--format", "json"],
    "run-skips": ["run", "step", "--kernel", "4.19", "--kernel", "6.12"],
    "run-first-failure": ["run", "wrong", "step", "-x", "--tag", "wrong"],
    "run-invalid": ["run", "."],
    "run-nothing": ["run", "step", "-k", "nothing and load"],
    "run-no-such-path": ["run", "stepp", "wrong"],
    "run-no-such-kernel": ["run", "step", "--kernel", "2.6"],
    "run-no-such-range": ["run", "step", "--kernel", "new"],
    "run-no-such-vmm": ["run", "step", "--vmm", "quemu"],
    "run-bad-expression": ["run", "step", "-k", "load and (step"],
    "check": ["check", "step", "wrong"],
    "check-invalid": ["check", "."],
    "list": ["list", "step", "--kernel", "6.0..6.2"],
    "list-json": ["list", "step", "--kernel", "6.12", "--vmm", "plain", "--format", "json"],
    "explain-6.12": ["explain", "step/load.vcpu.yaml", "--kernel", "6.12", "--vmm", "plain"],
    "explain-5.10": ["explain", "step/load.vcpu.yaml", "--kernel", "5.10"],
    "explain-newest": ["explain", "wrong", "-k", "qemu-2017"],
    "explain-actions": ["explain", "tour"],
    "assemble-check": ["assemble", "--check", "broken"],
    "conform": ["conform", "recorded/right.json"],
    "conform-misses": ["conform", "recorded/wrong.json", "recorded/right.json"],
    "conform-json": ["conform", "recorded/wrong.json", "--kernel", ">=6.1", "--format", "json"],
    "conform-nothing": ["conform", "recorded/right.json", "-k", "hvc"],
    "conform-no-such-file": ["conform", "recorded/left.json", "recorded"],
    "conform-no-such-kernel": ["conform", "recorded/right.json", "--kernel", "6.13"],
    "conform-no-such-range": ["conform", "recorded/right.json", "--kernel", "new"],
    "conform-unknown-kernel": ["conform", "recorded/old.json"],
    "conform-bad-expression": ["conform", "recorded/right.json", "-k", "step or"],
    "conform-bad-files": ["conform", *(f"recorded/bad/{name}" for name in BAD_RECORDINGS)],
}


class SomeRules(dict[str, Rule]):
    """Every rule there could be, so that a better wording of one changes no golden file."""

    def get(self, name: str, default: object = None) -> Rule:
        commit = Commit("0123456789ab", "KVM: arm64: A subject", "6.0")
        return Rule(name, (">=6.0",), "does what it does.", "recorded", (commit,))


@pytest.fixture(autouse=True)
def _some_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cite, "_table", SomeRules)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_prints_what_its_golden_file_says(
    name: str, scenario: Scenario, golden: Golden
) -> None:
    outcome = scenario(*COMMANDS[name])
    golden(f"{name}.txt", f"$ scenario {' '.join(COMMANDS[name])}\n{outcome.transcript}")


WORDED_BY_TYPER = {
    "help": ["--help"],
    **{
        f"help-{command}": [command, "--help"]
        for command in (
            "run",
            "check",
            "list",
            "explain",
            "history",
            "stops",
            "conform",
            "kernels",
            "assemble",
            "new",
            "fmt",
            "migrate",
            "schema",
            "lsp",
        )
    },
    "run-no-such-option": ["run", "--kernal", "6.12"],
    "run-bad-format": ["run", "step", "--format", "yaml"],
    "no-such-command": ["frobnicate"],
}


@pytest.mark.slow
@pytest.mark.skipif(
    not typer.__version__.startswith("0.28."), reason="each release of Typer words these anew"
)
@pytest.mark.parametrize("name", WORDED_BY_TYPER)
def test_what_typer_words_is_what_its_golden_file_says(
    name: str, scenario: Scenario, golden: Golden
) -> None:
    outcome = scenario(*WORDED_BY_TYPER[name])
    golden(f"{name}.txt", f"$ scenario {' '.join(WORDED_BY_TYPER[name])}\n{outcome.transcript}")


@pytest.mark.parametrize("name", ["run-no-such-option", "run-bad-format", "no-such-command"])
def test_arguments_that_make_no_sense_are_a_usage_error(name: str, scenario: Scenario) -> None:
    outcome = scenario(*WORDED_BY_TYPER[name])
    assert outcome.status == 4
    assert outcome.out == ""
    assert outcome.err.startswith("Usage: scenario ")


def test_without_arguments_there_is_help(scenario: Scenario) -> None:
    outcome = scenario()
    assert outcome.status == 4
    assert outcome.out == scenario("--help").out
