"""What a kernel lacks on the way of a run skips the case, unless something is wrong until then."""

from __future__ import annotations

from vcpu_scenario.language import loads
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.running.execute import execute
from vcpu_scenario.verdict.result import Result

from tests.guests import words

TEXT = """\
title: t
kernels: "5.10"
guest: {words: %s}
debug: {software_breakpoints: true}
expect:
  - exits:
      - debug: {brk: 0x40000000, then: [skip_instruction: true]}
      - debug: {brk: 0x40000004, then: [counter_offset: {offset: 0}, skip_instruction: true]}
      - debug: {brk: 0x40000008}
"""
LACKS = "this kernel has no KVM_ARM_SET_COUNTER_OFFSET"


def result(text: str = "") -> Result:
    made = (text or TEXT) % list(words("brk #1; brk #1; brk #1"))
    (case,) = loads(made, "t.vcpu.yaml").cases(["5.10"])
    return execute(case, create)


def test_a_run_that_is_as_expected_until_then_is_skipped() -> None:
    found = result()
    assert (found.verdict, found.reason, found.mismatches) == ("skip", LACKS, ())


def test_what_was_wrong_until_then_fails() -> None:
    found = result(TEXT.replace("brk: 0x40000000", "brk: 0x40000000, imm: 2"))
    assert found.verdict == "fail"
    assert LACKS in found.cut


def test_what_was_still_to_come_is_not_missing() -> None:
    assert result(TEXT.replace("brk: 0x40000008", "brk: 0x40000004")).verdict == "skip"


def test_an_action_before_the_first_exit_skips() -> None:
    text = TEXT.replace("expect:", "before: [counter_offset: {offset: 0}]\nexpect:")
    found = result(text)
    assert (found.verdict, found.trace) == ("skip", None)
