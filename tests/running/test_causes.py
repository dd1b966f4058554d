"""Why a run went as it did: the rules without which it would be another."""

from __future__ import annotations

import pytest
from vcpu_scenario.api import load, loads, run
from vcpu_scenario.kernels.rules import RULES
from vcpu_scenario.kernels.table import kernel
from vcpu_scenario.running.causes import (
    _causes,
    causes,
    first_change,
    run_without,
)
from vcpu_scenario.trace import Exit, Trace, Unmodelled
from vcpu_scenario.verdict.records import END, Cause
from vcpu_scenario.verdict.result import Result

from tests.guests import listed

from . import every

TEXT = """\
title: step over a load that the VMM emulates
guest:
  at: 0x40000000
  words: CODE
  symbols: {poll: 0x40000004, next: 0x40000008, done: 0x4000000c}
devices: {uart: {handled_by: userspace, at: 0x09000000, model: pl011}}
debug: {single_step: true, software_breakpoints: true}
"""
CODE = listed("mov x0, #0x09000000; ldr w1, [x0, #0x18]; add x2, x2, #1; brk #7")
SIGNED = listed("mov x0, #0x09000000; ldrsw x1, [x0, #0x18]; add x2, x2, #1; brk #7")
LOAD = TEXT.replace("CODE", CODE)
RIGHT = (
    LOAD
    + """\
expect:
  - exits:
      - debug: {step: poll}
      - mmio: {read: uart+0x18, len: 4}
      - debug: {step: next, regs: {x1: 0x90}}
      - debug: {step: done}
      - debug: {brk: done, imm: 7}
"""
)


def exits(*pcs: int) -> tuple[Exit, ...]:
    return tuple(Exit("DEBUG", 0, 0, pc, {}, {}) for pc in pcs)


def failed(text: str, kernel: str) -> Result:
    (result,) = run(loads(text), kernel)
    assert result.verdict == "fail"
    return result


def cited(text: str, kernel: str) -> list[tuple[str, ...]]:
    return [mismatch.rules for mismatch in failed(text, kernel).mismatches]


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["4.14", "5.10", "6.12"])
def test_the_causes_of_every_shipped_case_are_the_rules_that_matter(kernel: str) -> None:
    found = [wrong for case in every.cases([kernel]) for wrong in every.differences(case)]
    assert found == []


def test_a_rule_is_cited_at_the_first_exit_that_it_changes() -> None:
    (case,) = loads(RIGHT).cases(["6.12"])
    found = {cause.rules: cause.exit for cause in causes(case.case, "6.12")}
    assert found["mmio_skip_at_completion",] == 1
    assert found["pc_adjusted_at_entry",] == 2


def test_a_run_is_another_where_an_exit_or_only_the_end_differs() -> None:
    trace = Trace(exits(0, 4), final_regs={"x0": 1})
    assert first_change(trace, trace) is None
    assert first_change(trace, Trace(exits(0, 8), final_regs={"x0": 1})) == 1
    assert first_change(trace, Trace(exits(0), final_regs={"x0": 1})) == 1
    assert first_change(trace, Trace(exits(0, 4, 8), final_regs={"x0": 1})) == END
    assert first_change(trace, Trace(exits(0, 4), final_regs={"x0": 2})) == END
    assert first_change(trace, None) == 0


def test_rules_that_eclipse_each_other_are_told_together() -> None:
    trace, other = Trace(exits(0)), Trace(exits(4))
    rules = {"a", "b", "idle"}
    found = _causes(trace, rules, lambda gone: other if {"a", "b"} <= gone else trace)
    assert found == (Cause(("a", "b"), 0),)


def test_a_run_that_is_not_modelled_without_a_rule_says_nothing_of_it() -> None:
    trace, nobody_knows = Trace(exits(0, 4)), Unmodelled("what nobody looked at", None)

    def without(gone: frozenset[str]) -> Trace:
        if "known" in gone:
            return Trace(exits(0), unmodelled=nobody_knows)
        if "before" in gone:
            return Trace(exits(8), unmodelled=nobody_knows)
        return Trace(exits(0, 8)) if {"a", "b"} <= gone else trace

    found = _causes(trace, {"known", "before", "a", "b"}, without)
    assert set(found) == {Cause(("before",), 0), Cause(("a", "b"), 1)}


def test_a_rule_is_not_cited_for_what_is_not_modelled_without_it() -> None:
    (case,) = load("scenarios/rules/vgic-attributes-by-release.vcpu.yaml").cases(["6.12"])
    without = run_without(kernel("6.12"), frozenset({"vgic_groups_writable"}), case.case)
    assert without is not None
    assert without.unmodelled is not None
    cited = {name for cause in causes(case.case, "6.12") for name in cause.rules}
    assert "vgic_ends_checked" in cited
    assert "vgic_groups_writable" not in cited


def test_every_group_of_rules_that_eclipse_each_other_is_found() -> None:
    trace = Trace(exits(0, 4))

    def without(gone: frozenset[str]) -> Trace:
        return Trace(exits(8 if {"a", "b"} <= gone else 0, 8 if {"c", "d"} <= gone else 4))

    found = _causes(trace, {"a", "b", "c", "d"}, without)
    assert set(found) == {Cause(("a", "b"), 0), Cause(("c", "d"), 1)}


def test_a_wrong_value_has_no_rule_that_did_not_make_it() -> None:
    assert cited(RIGHT.replace("x1: 0x90", "x1: 0x91"), "6.12") == [()]
    assert cited(RIGHT.replace("len: 4", "len: 8"), "6.12") == [()]
    assert cited(RIGHT.replace("imm: 7", "imm: 8"), "6.12") == [()]


def test_a_value_that_a_rule_makes_names_the_rule() -> None:
    on_the_oldest = RIGHT.replace("{read: uart+0x18, len: 4}", "{read: uart+0x18, pc: next}")
    rules = cited(on_the_oldest, "6.12")
    assert rules == [("mmio_skip_at_completion",)]


@pytest.mark.slow
def test_final_state_names_the_rule_that_makes_it() -> None:
    text = TEXT.replace("CODE", SIGNED).replace("debug:", "observe: [x1]\ndebug:")
    signed = text.replace("model: pl011", "registers: {0x18: 0x80000000}") + (
        "expect:\n  - exits: [any: {repeat: {least: 1, most: 9}}]\n"
        "    final: {regs: {x1: 0x80000000}}\n"
    )
    assert cited(signed, "7.2") == [("mmio_sign_extends",)]


@pytest.mark.slow
def test_a_rule_that_gives_the_vmm_a_register_is_named_however_often_the_kernel_has_run() -> None:
    text = f"title: t\nguest: {{words: {listed('brk #7')}}}\nbefore: [set: {{cntp_cval_el0: 5}}]\n"
    for _ in range(2):
        rules = cited(text + "expect: [{refused: {errno: ENOENT}}]\n", "6.12")
        assert rules == [("physical_timer_registers",)]


def test_what_is_as_expected_is_not_looked_into() -> None:
    (result,) = run(loads(RIGHT), "6.12")
    assert (result.verdict, result.causes) == ("pass", ())


def test_a_limit_keeps_no_cause_from_a_run_that_was_short() -> None:
    wrong = RIGHT.replace("{read: uart+0x18, len: 4}", "{read: uart+0x18, pc: next}")
    assert cited(f"{wrong}limits: {{instructions: 100000000000}}\n", "6.12") == [
        ("mmio_skip_at_completion",)
    ]


def test_a_run_that_is_long_is_not_run_again_for_each_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    spins = listed("mov x1, #1000; subs x1, x1, #1; b.ne . - 4; brk #7")
    text = TEXT.replace("CODE", spins).replace("single_step: true, ", "")
    wrong = f"{text}expect: [{{exits: [debug: {{brk: 0x40000010}}]}}]\n"
    assert failed(wrong, "6.12").causes
    monkeypatch.setattr("vcpu_scenario.running.causes._EXPLAINED", 100)
    assert failed(wrong, "6.12").causes == ()


def test_a_guest_with_a_console_is_not_run_again_for_each_rule() -> None:
    wrong = RIGHT.replace("imm: 7", "imm: 8")
    assert failed(wrong, "6.12").causes
    assert failed(wrong.replace("pl011}", "pl011, console: true}"), "6.12").causes == ()


def test_causes_are_rules_of_the_table() -> None:
    known = {rule.name for rule in RULES}
    result = failed(RIGHT.replace("imm: 7", "imm: 8"), "6.12")
    assert result.causes
    assert {name for cause in result.causes for name in cause.rules} <= known
