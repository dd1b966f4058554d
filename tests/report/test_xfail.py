"""``xfail:``: a clause that is known not to hold, and says why."""

from __future__ import annotations

import pytest
from vcpu_scenario.language import loads
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.report.json import case_of
from vcpu_scenario.report.ladder import ladder
from vcpu_scenario.report.styled import plain
from vcpu_scenario.report.text import report as text_report
from vcpu_scenario.running.execute import execute
from vcpu_scenario.source import InvalidScenario
from vcpu_scenario.verdict.result import Result

LINK = "https://lore.kernel.org/r/87k20bxm13.fsf@linaro.org"
TEXT = f"""\
title: one brk
guest: {{words: [0xd503201f, 0xd42000e0], symbols: {{stop: 0x40000004}}}}
debug: {{software_breakpoints: true}}
after_brk: stay
expect:
  - kernels: ">=6.1"
    xfail:
      reason: the guest says 7
      link: {LINK}
    exits:
      - debug: {{brk: stop, imm: 8}}
"""


def run(text: str = TEXT) -> Result:
    (case,) = loads(text, "t.vcpu.yaml").cases(["6.12"])
    return execute(case, create)


def test_a_case_that_fails_as_its_clause_says_is_no_failure() -> None:
    result = run()
    assert result.verdict == "xfail"
    assert result.reason == f"the guest says 7 ({LINK})"
    assert [mismatch.kind for mismatch in result.mismatches] == ["field"]


def test_a_case_that_passes_against_its_clause_is_a_failure_at_that_line() -> None:
    result = run(TEXT.replace("imm: 8", "imm: 7"))
    assert result.verdict == "fail"
    (mismatch,) = result.mismatches
    assert mismatch.kind == "unexpected pass"
    assert (mismatch.span.line, mismatch.span.column) == (7, 5)
    assert "xfail: the guest says 7" in mismatch.notes


@pytest.mark.parametrize(
    ("action", "wrong"),
    [
        ("set: {x1: 1}\n    errno: EINVAL", "the kernel did not refuse as expected"),
        ("set: {id_aa64isar0_el1: -1}", "the kernel refused the set-up: KVM_SET_ONE_REG"),
    ],
)
def test_a_set_up_that_answers_otherwise_is_a_failure(action: str, wrong: str) -> None:
    result = run(f"{TEXT}before:\n  - {action}\n")
    assert result.verdict == "fail"
    mismatch = result.mismatches[0]
    assert mismatch.kind == "refused"
    assert mismatch.message.startswith(wrong)
    assert mismatch.notes[-1].startswith("xfail: the guest says 7: that is for what the clause")


def test_what_the_clause_says_of_the_set_up_may_be_known_to_fail() -> None:
    text = TEXT[: TEXT.index("    exits:")] + "    refused: {errno: EINVAL}\n"
    assert run(text).verdict == "xfail"


def test_a_run_that_is_only_cut_is_a_failure() -> None:
    text = TEXT[: TEXT.index("    exits:")] + "    never: [debug: {brk: stop, imm: 8}]\n"
    result = run(text)
    assert (result.verdict, result.mismatches[0].kind) == ("fail", "cut")


def test_a_machine_that_fails_is_an_error_all_the_same() -> None:
    (case,) = loads(TEXT, "t.vcpu.yaml").cases(["6.12"])

    def failing(kernel: str) -> object:
        raise RuntimeError("no")

    assert execute(case, failing).verdict == "error"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("xfail: known", "wrong value for `xfail`"),
        ("xfail: {reason: known}", "`xfail` lacks `link`"),
        (f"xfail: {{link: '{LINK}'}}", "`xfail` lacks `reason`"),
        ("xfail: {reason: known, link: soon}", "wrong value for `link`"),
        ("xfail: {reason: known, link: 'javascript:alert(1)'}", "wrong value for `link`"),
        (f"xfail: {{reason: ' ', link: '{LINK}'}}", "wrong value for `reason`"),
    ],
)
def test_a_reason_and_a_link_are_both_needed(written: str, fault: str) -> None:
    text = f"title: t\nguest: {{words: [0]}}\nexpect:\n  - {written}\n"
    with pytest.raises(InvalidScenario) as invalid:
        loads(text, "t.vcpu.yaml")
    assert [fault in found.message for found in invalid.value.diagnostics] == [True], invalid.value


def test_the_text_report_tells_the_reason_once() -> None:
    result = run()
    lines = plain(text_report([result, result])).splitlines()
    assert lines[0] == "t.vcpu.yaml xx"
    assert f"XFAIL [2] the guest says 7 ({LINK})" in lines
    assert lines[-1].strip("= ") == "2 xfailed"


def test_the_ladder_tells_the_reason() -> None:
    lines = plain(ladder(run())).splitlines()
    assert lines[1:3] == ["t@6.12/plain: xfail", f"known to fail: the guest says 7 ({LINK})"]


def test_json_has_the_reason_the_link_and_the_differences() -> None:
    told = case_of(run())
    assert told["verdict"] == "xfail"
    assert told["xfail"] == {"reason": "the guest says 7", "link": LINK}
    assert len(told["mismatches"]) == 1


def test_json_says_of_a_clause_that_holds_that_it_should_not() -> None:
    told = case_of(run(TEXT.replace("imm: 8", "imm: 7")))
    assert told["verdict"] == "fail"
    assert told["xfail"] == {"reason": "the guest says 7", "link": LINK}
