"""A mail about a scenario: what it says, and that it says nothing of what was not run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace
from vcpu_scenario.analysis.history import histories
from vcpu_scenario.api import load
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.report.mail import WIDTH, Evidence, OnReal, markdown, text
from vcpu_scenario.running.execute import execute
from vcpu_scenario.trace import Trace
from vcpu_scenario.verdict.result import Result, Verdict

Golden = Callable[[str, str], None]

KERNELS = ("4.18", "5.10", "5.11", "5.12", "6.12")


@pytest.fixture
def evidence() -> Evidence:
    """A scenario that fails on some kernels, on two real ones as well."""
    cases = load("mixed/load.vcpu.yaml").cases(KERNELS, ["plain"])
    (history,) = histories(cases)
    results = {case.kernel: execute(case, create) for case in cases}
    other = results["6.12"]
    assert other.trace is not None
    short = replace(other, trace=Trace(other.trace.exits[:-1]))
    return Evidence(
        history,
        "start: mov x0, #1 // `code`\n"
        "       brk #2                                   // too far to the right by far\n"
        "next:  nop // and this is more than can stand beside anything, however near it comes\n",
        results,
        (
            OnReal("lab:5.10", "5.10.0-32-arm64", results["5.10"]),
            OnReal("lab:6.12", "6.12.118+deb13-arm64", short),
        ),
        (("scenario", "run", "a name with blanks.vcpu.yaml"),),
        (("scenario", "export", "x" * 60, "--output", "y" * 30),),
        "0.0",
    )


def test_a_mail_reads_as_it_did(evidence: Evidence, golden: Golden) -> None:
    golden("mail.txt", text([evidence]))
    golden("mail.md", markdown([evidence]))


def test_a_mail_is_within_72_columns(evidence: Evidence) -> None:
    assert max(map(len, text([evidence]).splitlines())) <= WIDTH


@pytest.mark.parametrize("form", [text, markdown])
def test_what_was_not_run_is_not_claimed(
    evidence: Evidence, form: Callable[[list[Evidence]], str]
) -> None:
    alone = form([replace(evidence, real=())])
    assert "No real kernel was run for this report." in alone
    assert "lab:" not in alone
    assert "Linux" not in alone
    assert "No real kernel" not in form([evidence])


def test_a_real_kernel_that_could_not_run_it_is_not_as_anything(evidence: Evidence) -> None:
    case = evidence.results["6.12"].case
    lost = OnReal(
        "lab:6.12", "6.12.0", Result(case, Verdict.ERROR, reason="the kernel was lost: gone")
    )
    told = " ".join(text([replace(evidence, real=(lost,))]).split())
    assert "Linux 6.12.0 (lab:6.12): failed to run: the kernel was lost: gone." in told


def test_a_real_kernel_that_differs_from_the_emulated_one_is_told(evidence: Evidence) -> None:
    told = " ".join(text([evidence]).split())
    assert "(lab:5.10): fails as known; every exit and field is as emulated for 5.10." in told
    assert (
        "(lab:6.12): NOT as expected, and not as emulated: exit 4: only in the emulated run" in told
    )
