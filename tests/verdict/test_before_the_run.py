"""What a kernel answers otherwise before the first KVM_RUN is told at the action that asked."""

from __future__ import annotations

import pytest
from vcpu_scenario.interchange.traces import dump_trace, load_trace
from vcpu_scenario.language import loads
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.running.execute import execute, judged

TEXT = """\
title: t
guest: {words: [0xd42000e0]}
debug: {software_breakpoints: true}
expect: [{exits: [debug: {brk: 0x40000000}]}]
"""
FIRST = "setup:\n  - create_vcpu: 2\n"
THEN = "before:\n  - set: {x1: 1, x2: 2}\n"


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (f"{FIRST}  - create_vcpu: 5000\n", 7),
        (f"{FIRST}  - create_vcpu: 1\n    errno: EEXIST\n", 7),
        (f"{FIRST}{THEN}  - set: {{id_aa64isar0_el1: -1}}\n", 9),
        (f"{FIRST}{THEN}  - set: {{x1: 3}}\n    errno: EINVAL\n", 9),
        (f"{THEN}  - set: {{x4: 1}}\n    errno: EINVAL\n", 7),
    ],
)
def test_it_is_told_at_the_item(wrong: str, line: int) -> None:
    (case,) = loads(TEXT + wrong, "t.vcpu.yaml").cases(["5.10"])
    result = execute(case, create)
    assert result.trace is not None
    from_the_lab = judged(case, load_trace(dump_trace(result.trace)))
    for told in (result, from_the_lab):
        assert (told.mismatches[0].kind, told.mismatches[0].span.line) == ("refused", line)


RUN = "expect: [{exits: [debug: {brk: 0x40000000}]}]\n"
REFUSES = "before: [set: {id_aa64isar0_el1: -1}, set: {x1: 1}, set: {x2: 1}]\n"
"""KVM takes none but its own value."""
IN_THE_SET_UP = "capabilities: [arm_nisv_to_user]\n"
"""5.4 has no such capability."""


@pytest.mark.parametrize(
    ("before", "columns"),
    [
        (REFUSES, [39, 53]),
        ("before: [set: {id_aa64isar0_el1: -1, x1: 1}]\n", [10]),
        ("before: [set: {x1: 1}, set: {id_aa64isar0_el1: -1}]\n", []),
        # The set-up itself is refused, between `setup` and `before`.
        (f"{IN_THE_SET_UP}before: [set: {{x1: 1}}, set: {{x2: 1}}]\n", [10, 24]),
        (f"{IN_THE_SET_UP}setup: [create_vcpu: 2]\nbefore: [set: {{x1: 1}}]\n", [10]),
        (f"{IN_THE_SET_UP}setup: [create_vcpu: 2]\n", []),
    ],
)
def test_what_stands_behind_a_refusal_that_every_clause_expects_is_never_done(
    before: str, columns: list[int]
) -> None:
    refused = TEXT.replace(RUN, "expect: [{refused: {errno: EINVAL}}]\n") + before
    (case,) = loads(refused, "t.vcpu.yaml").cases(["5.4"])
    result = execute(case, create)
    assert [(one.kind, one.span.column) for one in result.mismatches] == [
        ("not done", column) for column in columns
    ]
    assert result.trace is not None
    from_the_lab = judged(case, load_trace(dump_trace(result.trace)))
    assert len(from_the_lab.mismatches) == len(columns)


def test_a_first_run_that_the_kernel_refuses_is_behind_all_that_is_done_before_it() -> None:
    text = TEXT.replace(RUN, "expect: [{refused: {errno: ENOEXEC}}]\n")
    text += "before: [set: {x1: 1}, create_vcpu: 1, run_vcpu: 1]\n"
    (case,) = loads(text, "t.vcpu.yaml").cases(["5.10"])
    assert execute(case, create).verdict == "pass"


def test_what_stands_behind_a_refusal_is_done_where_another_clause_has_a_run() -> None:
    both = '{kernels: "5.10", refused: {errno: EINVAL}}, {exits: [debug: {brk: 0x40000000}]}'
    text = TEXT.replace(RUN, f"expect: [{both}]\n") + REFUSES
    (case,) = loads(text, "t.vcpu.yaml").cases(["5.10"])
    assert execute(case, create).verdict == "pass"
