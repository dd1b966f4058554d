"""What an old release does not do yet is told at the exit that a later one gives otherwise."""

from __future__ import annotations

import pytest
from vcpu_scenario.analysis.history import Rules, emulated
from vcpu_scenario.analysis.later import NotYet, not_yet
from vcpu_scenario.language import ScenarioCase, loads
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.report.ladder import ladder
from vcpu_scenario.report.styled import plain
from vcpu_scenario.running.execute import execute
from vcpu_scenario.trace import Trace
from vcpu_scenario.verdict.result import Result, Verdict

# mov x0, #0x09000000; ldr w1, [x0, #0x18]; add x2, x2, #1; brk #7
LOAD = """\
title: step over a load
guest: {words: [0xd2a12000, 0xb9401801, 0x91000442, 0xd42000e0]}
debug: {single_step: true, software_breakpoints: true}
expect: [{exits: [any: {repeat: 4}]}]
"""
# mov w0, #0x1234; hvc #0; add x2, x2, #1; brk #7
CALL = LOAD.replace("0xd2a12000, 0xb9401801", "0x52824680, 0xd4000002")


def run(text: str, kernel: str) -> Result:
    (case,) = loads(text, "t.vcpu.yaml").cases([kernel])
    return execute(case, create)


def later(text: str, kernel: str) -> NotYet | None:
    result = run(text, kernel)
    assert result.trace is not None
    return not_yet(result.case, result.trace)


@pytest.mark.parametrize("kernel", ["5.0", "5.10", "5.10.223"])
def test_a_step_that_emulation_swallows_waits_for_the_pc_to_be_adjusted_at_entry(
    kernel: str,
) -> None:
    assert later(LOAD, kernel) == NotYet(2, "5.11", ("pc_adjusted_at_entry",))


@pytest.mark.slow
def test_what_a_release_between_has_changed_elsewhere_does_not_count() -> None:
    """5.11 repaired skips, which an HVC has none of; 5.19 has other flags."""
    assert later(CALL, "5.10") == NotYet(1, "6.1", ("active_pending_kept",))


def test_a_rule_without_a_commit_is_named_as_well() -> None:
    found = later(LOAD, "4.14")
    assert found is not None
    assert (found.kernel, found.rules) == ("4.15", ("step_exit_faked",))


def test_a_variant_is_held_against_its_like() -> None:
    found = later(LOAD.replace("[{exits", '[{kernels: "5.0-v2trap", exits'), "5.0-v2trap")
    assert found is not None
    assert found.kernel == "5.11-v2trap"


@pytest.mark.parametrize("kernel", ["5.11", "6.12", "7.3"])
def test_where_no_later_release_goes_another_way_there_is_nothing_to_wait_for(
    kernel: str,
) -> None:
    assert later(LOAD, kernel) is None


WATCH = """\
title: t
guest: {words: [0x39000001, 0xd4000002], regs: {x0: 0x40000104}}
memory: [{at: 0x40000000, size: 64KiB}]
debug: {watchpoints: [{at: 0x40000103, len: 2}]}
expect: [{exits: [debug: {watchpoint: 0x40000000, far: 0x40000104}]}]
"""


def test_what_is_in_a_field_alone_is_told_where_it_is_asked_for() -> None:
    result = run(WATCH, "5.10")
    assert result.verdict is Verdict.FAIL
    assert result.trace is not None
    found = not_yet(result.case, result.trace, fields=[(0, "far")])
    assert found == NotYet(0, "6.1", ("watchpoint_far",))
    assert not_yet(result.case, result.trace) is None


def test_what_is_asked_of_a_field_runs_no_release_again() -> None:
    result, seen = run(WATCH, "5.10"), []

    def noted(case: ScenarioCase, rules: Rules) -> Trace:
        seen.append((case.kernel, rules))
        return emulated(case, rules)

    assert result.trace is not None
    assert not_yet(result.case, result.trace, noted, [(0, "far")])
    assert len(seen) == len(set(seen))


def test_a_rule_that_was_dropped_is_nothing_to_wait_for() -> None:
    """4.19's exit that 5.0 does not give any more is one that it makes up."""
    assert later(LOAD, "4.19") is None


def test_the_ladder_tells_it_at_its_exit_with_the_commit() -> None:
    result = run(LOAD, "5.10")
    assert result.trace is not None
    shown = plain(ladder(result, 200, not_yet(result.case, result.trace)))
    text = " ".join(shown.replace("│", " ").split())
    third = text.index(" 2 mmio.data")
    told = text.index("not yet, but from 5.11 on: pc_adjusted_at_entry:")
    assert third < told < text.index("0123456789ab") < text.index(" 3 KVM_RUN")
    assert "not yet" not in plain(ladder(result))
