"""What the VMM does at exits as they come, from the scenario to the run."""

from __future__ import annotations

import json

import pytest
from vcpu_scenario.case import Case, SetRegister
from vcpu_scenario.interchange.records import decode, encode
from vcpu_scenario.language import ScenarioCase
from vcpu_scenario.running.execute import execute_on
from vcpu_scenario.running.targets import Emulated
from vcpu_scenario.verdict.result import Result

from tests.guests import listed
from tests.language.build import messages, scenario

POLL = """\
title: a device is polled until it is ready
guest:
  words: CODE
  symbols: {start: 0x40000000, poll: 0x40000004, write: 0x4000000c, done: 0x40000010}
devices:
  uart: {handled_by: userspace, model: scripted, at: 0x09000000, replies: {0x18: [0x20, 0x20, 0]}}
debug: {software_breakpoints: true}
observe: [x1, x2]
""".replace(
    "CODE",
    listed("""
        start: mov x0, #0x09000000
        poll: ldr w1, [x0, #0x18]
        tbnz w1, #5, poll
        write: str w1, [x0]
        done: brk #7
    """),
)
ENDS = "expect: [{exits: [any: {repeat: {least: 3}}, debug: {brk: done, regs: {x2: 1}}]}]\n"
COUNT = "then: [{set: {x2: 1}}]"


def case(text: str, kernel: str = "6.12") -> ScenarioCase:
    (found,) = scenario(POLL + "limits: {exits: 5}\n" + text).cases([kernel])
    return found


def execute(found: ScenarioCase) -> Result:
    target = Emulated(found.kernel)
    try:
        return execute_on(found, target)
    finally:
        target.close()


def done_after(text: str) -> list[int]:
    """The exits after which the VMM set a register."""
    found = execute(case(text + ENDS))
    assert found.trace is not None
    entries = found.trace.entries
    return [
        n - 1
        for n, entry in enumerate(entries)
        if any(isinstance(deed, SetRegister) for deed in entry.did)
    ]


@pytest.mark.parametrize(
    ("on", "exits"),
    [
        ("{first: {mmio: {read: uart+0x18}}", [0]),
        ("{each: {mmio: {read: uart+0x18}}", [0, 1, 2]),
        ("{nth: 3, of: {mmio: {read: uart+0x18}}", [2]),
        ("{first: {mmio: {write: uart}}", [3]),
        ("{first: {mmio: {write: uart, data: 0, len: 4}}", [3]),
        ("{first: {mmio: {read: uart+0x18, regs: {x1: 0x20}}}", [1]),
        ("{first: {mmio: {pc: poll, regs: {x1: 0x20}}}", [1]),
        ("{nth: 4, of: {mmio: {}}", [3]),
        ("{nth: 2, of: {any: {}}", [1]),
        ("{exit: 2", [2]),
    ],
)
def test_an_action_is_done_at_the_exits_that_it_is_for(on: str, exits: list[int]) -> None:
    assert done_after(f"on: [{on}, {COUNT}}}]\n") == exits


def test_what_waits_for_an_exit_comes_before_what_is_for_its_number_and_its_then() -> None:
    text = (
        "on:\n- {exit: 0, then: [{set: {x2: 2}}]}\n- {first: {mmio: {}}, then: [{set: {x2: 1}}]}\n"
        "expect:\n- exits:\n  - mmio: {read: uart+0x18, then: [{set: {x2: 3}}]}\n"
        "  - any: {regs: {x2: 3}, repeat: 3}\n"
    )
    found = execute(case(text))
    assert found.trace is not None
    did = [deed.value for deed in found.trace.entries[1].did if isinstance(deed, SetRegister)]
    assert did == [1, 2, 3]


def test_an_interrupted_run_goes_on_where_an_action_waits_for_it() -> None:
    text = (
        "before: [immediate_exit: true]\non: [{first: {interrupted: {}}, then: [{set: {x2: 1}}]}]\n"
        "expect: [{exits: [interrupted: {}, mmio: {read: uart+0x18, regs: {x2: 1}},"
        " any: {repeat: 3}]}]\n"
    )
    assert execute(case(text)).verdict == "pass"


def test_an_action_whose_exit_does_not_come_fails_the_case_at_its_place() -> None:
    on = "on: [{first: {mmio: {write: uart, len: 4, data: 5}}, then: [{set: {x2: 1}}]}]\n"
    found = execute(case(on + "expect: [{never: [interrupted: {}]}]\n"))
    assert found.verdict == "fail"
    (mismatch,) = found.mismatches
    assert mismatch.message == "not done: what the VMM does after such an exit"
    assert mismatch.span.column == len("on: [{first: {") + 1


def test_an_exit_that_ends_the_run_is_too_late_for_an_action() -> None:
    on = "on: [{nth: 3, of: {mmio: {}}, then: [{set: {x2: 1}}]}]\nlimits: {repeats: 2}\n"
    text = POLL + on + "expect: [{never: [interrupted: {}]}]\n"
    (found,) = scenario(text).cases(["6.12"])
    assert [one.kind for one in execute(found).mismatches] == ["not done"]


@pytest.mark.parametrize(("written", "last"), [("write: uart", True), ("read: uart+0x18", False)])
def test_what_is_for_a_run_that_did_not_follow_was_not_done(written: str, last: bool) -> None:
    on = f"on: [{{first: {{mmio: {{{written}}}}}, then: [{{set: {{x2: 1}}}}, run_again: true]}}]\n"
    expect = "expect: [{exits: [any: {repeat: 3}, any: {pc: write, then: [{set: {x3: 1}}]}]}]\n"
    (found,) = scenario(POLL + on + expect).cases(["6.12"])
    told = [
        (one.kind, one.message, one.span.column, one.notes) for one in execute(found).mismatches
    ]
    message = "not done: what the VMM does for the next KVM_RUN"
    column = on.index("run_again") + 1
    notes = ("no KVM_RUN followed the exit", "the run was cut at its limit of 4 exits")
    assert told == ([("not done", message, column, notes)] if last else [])


def test_it_travels_as_json() -> None:
    text = "on: [{nth: 2, of: {mmio: {write: uart, len: 4, data: 5}}, then: [{set: {x2: 1}}]}]\n"
    made = case(text + ENDS).case
    assert made.reactions
    assert decode(Case, json.loads(json.dumps(encode(made)))) == made


def test_a_clause_in_which_it_may_come_is_enough() -> None:
    on = "on: [{first: {debug: {brk: done}}, then: [skip_instruction: true]}]\n"
    never = "- kernels: '<5.0'\n  exits: [mmio: {read: uart+0x18}]\n"
    ever = "- exits: [any: {}, debug: {brk: done}, any: {}]\n"
    assert scenario(POLL + on + "expect:\n" + never + ever)
    with pytest.raises(Exception, match="this is never done"):
        scenario(POLL + on + "expect:\n" + never)


def test_registers_that_it_looks_at_are_observed() -> None:
    on = "on: [{first: {any: {regs: {x9: 0}}}, then: [{set: {x2: 1}}]}]\n"
    assert "x9" in case(on + ENDS).case.observe


def test_one_entry_says_when_in_one_way() -> None:
    assert messages("on: [{then: []}]\n") == [
        "an entry of `on` says in exactly one way after which exit"
    ]
