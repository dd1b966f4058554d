"""One case, from scenario to verdict, and what may go wrong on the way."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from vcpu_scenario.language import loads
from vcpu_scenario.language.model import ScenarioCase
from vcpu_scenario.machine.emulated.machine import create as emulated
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.running.execute import execute

TEXT = """\
title: one brk
guest: {words: [0xd503201f, 0xd42000e0], symbols: {first: 0x40000000, stop: 0x40000004}}
debug: {software_breakpoints: true}
after_brk: stay
limits: {exits: 1}
expect:
  - kernels: ">=6.1"
    exits:
      - debug: {brk: stop, imm: 7}
"""


def case(kernel: str = "6.12", text: str = TEXT) -> ScenarioCase:
    (only,) = loads(text, "t.vcpu.yaml").cases([kernel])
    return only


def test_a_case_that_goes_as_expected_passes_with_its_trace() -> None:
    result = execute(case(), emulated)
    assert (result.verdict, result.mismatches, result.reason) == ("pass", (), "")
    assert result.trace is not None
    assert [exit_.exit for exit_ in result.trace.exits] == ["DEBUG"]
    assert [(stop.pc, stop.reason) for stop in result.stops] == [(0x40000004, "brk")]


def test_a_case_that_does_not_fails_and_says_so() -> None:
    result = execute(case(text=TEXT.replace("imm: 7", "imm: 8")), emulated)
    assert result.verdict == "fail"
    assert [mismatch.message for mismatch in result.mismatches] == [
        "field hsr: expected EC 0x3c (BRK #0x8), found 0xf2000007 (BRK #0x7)"
    ]


def test_a_run_that_ended_with_the_last_exit_expected_was_not_cut() -> None:
    assert execute(case(), emulated).cut == ""


def test_a_run_of_which_no_exits_are_expected_says_what_limit_ended_it() -> None:
    text = TEXT.partition("    exits:")[0] + "    final: {regs: {x0: 0}}\n"
    result = execute(case(text=text), emulated)
    assert (result.verdict, result.cut) == ("pass", "the run was cut at its limit of 1 exits")


@pytest.mark.slow
def test_an_action_at_an_exit_that_never_came_fails_and_says_so() -> None:
    text = TEXT.replace("limits: {exits: 1}", "on: [{exit: 2, then: [skip_instruction: true]}]")
    text = text.replace("after_brk: stay\n", "").partition("    exits:")[0]
    result = execute(case(text=text + "    never: [system_event: {}]\n"), emulated)
    assert [mismatch.message for mismatch in result.mismatches] == [
        "not done: what the VMM does after exit 2"
    ]
    assert result.mismatches[0].span.line == 4


def test_a_kernel_of_which_nothing_is_expected_is_skipped_unrun() -> None:
    def never(kernel: str) -> Machine:
        raise AssertionError("no machine is needed")

    result = execute(case("5.10"), never)
    assert (result.verdict, result.trace) == ("skip", None)
    assert result.reason == "nothing is expected on 5.10 with plain"


def test_a_machine_that_cannot_do_it_is_a_skip_with_its_reason() -> None:
    def unable(kernel: str) -> Machine:
        raise Unsupported("this machine has no GICv2")

    result = execute(case(), unable)
    assert (result.verdict, result.reason) == ("skip", "this machine has no GICv2")


def test_a_machine_that_fails_is_an_error_of_this_case_alone() -> None:
    def failing(kernel: str) -> Machine:
        raise RuntimeError("out of order\nand more")

    result = execute(case(), failing)
    assert result.verdict == "error"
    assert result.reason == "the runner failed: RuntimeError: out of order"
    assert "Traceback" in result.detail


@pytest.mark.parametrize("fails", [False, True])
def test_a_machine_is_closed_whatever_happens(fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = emulated("6.12")
    closed = []
    close = machine.close

    def note() -> None:
        closed.append(True)
        close()

    def fail(**limits: object) -> int:
        raise RuntimeError("no")

    monkeypatch.setattr(machine, "close", note)
    if fails:
        monkeypatch.setattr(machine, "kvm_run", fail)
    result = execute(case(), lambda kernel: machine)
    assert result.verdict == ("error" if fails else "pass")
    assert closed == [True]


def test_a_refused_set_up_is_judged_by_its_errno() -> None:
    text = (
        "title: no such capability\n"
        "guest: {words: [0xd503201f]}\n"
        "capabilities: [arm_nisv_to_user]\n"
        "expect:\n"
        '  - kernels: "<5.5"\n'
        "    refused: {errno: EINVAL}\n"
        "  - refused: {errno: ENOSYS}\n"
    )
    old = execute(case("5.4", text), emulated)
    assert (old.verdict, old.trace and old.trace.exits) == ("pass", ())
    new = execute(replace(case("5.4", text), expectation=case("6.1", text).expectation), emulated)
    assert [mismatch.message for mismatch in new.mismatches] == [
        "the kernel refused the set-up: expected ENOSYS, found EINVAL"
    ]
