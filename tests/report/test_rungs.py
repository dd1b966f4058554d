"""The rungs of a ladder: which instructions ran between an entry and its exit."""

from __future__ import annotations

import pytest
from vcpu_scenario.language import loads
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.report.rungs import Rung, rungs
from vcpu_scenario.running.execute import execute

from tests.guests import listed

POLL = """\
title: a loop that polls a device
guest:
  words: CODE
  symbols: {start: 0x40000000, poll: 0x40000004, test: 0x40000008, done: 0x4000000c}
devices:
  uart: {handled_by: userspace, model: scripted, at: 0x09000000, replies: {0x18: [0x20, 0x20, 0]}}
""".replace(
    "CODE",
    listed("""
        start: mov x0, #0x09000000
        poll: ldr w1, [x0, #0x18]
        test: tbnz w1, #5, poll
        done: brk #7
    """),
)
EXPECT = "expect: [{exits: [{any: {repeat: %d}}], never: [{mmio: {read: 8}}]}]\n"
STEPPING = "debug: {single_step: true, software_breakpoints: true}\n"
RUNNING = "debug: {software_breakpoints: true}\n"


def climb(text: str, kernel: str) -> tuple[Rung, ...]:
    (case,) = loads(text, "t.vcpu.yaml").cases([kernel])
    return rungs(execute(case, create))


def ways(climbed: tuple[Rung, ...]) -> list[str]:
    """Of each rung the instructions executed, and in brackets the one that exits."""
    out = []
    for rung in climbed:
        names = ["?"] if rung.executed is None else [place.name for place in rung.executed]
        held = [f"[{rung.held.name}]"] if rung.held else []
        out.append(" ".join([*names, *held]))
    return out


def test_a_read_that_comes_again_is_a_round_of_its_loop() -> None:
    assert ways(climb(POLL + RUNNING + EXPECT % 4, "6.12")) == [
        "start [poll]",
        "test [poll]",
        "test [poll]",
        "test [done]",
    ]


def test_the_round_is_the_same_where_pc_is_already_behind_the_access() -> None:
    assert ways(climb(POLL + RUNNING + EXPECT % 4, "4.14")) == [
        "start [poll]",
        "test [poll]",
        "test [poll]",
        "test [done]",
    ]


@pytest.mark.parametrize("kernel", ["4.14", "5.10"])
def test_a_step_that_ends_where_it_began_has_gone_round(kernel: str) -> None:
    climbed = climb(POLL + STEPPING + EXPECT % 5, kernel)
    assert ways(climbed) == ["start", "[poll]", "test", "[poll]", "test"]
    assert [rung.exit.pc for rung in climbed[2:]][::2] == [0x4000_0004] * 2
    (skipped,) = climbed[2].findings
    assert (skipped.kind, skipped.place.name) == ("skipped", "test")


def test_a_step_made_up_at_the_same_pc_has_executed_nothing() -> None:
    climbed = climb(POLL + STEPPING + EXPECT % 4, "4.18")
    assert ways(climbed) == ["", "start", "[poll]", ""]
    assert [rung.exit.pc & 0xF for rung in climbed] == [0, 4, 8, 8]


def test_a_breakpoint_that_is_hit_again_has_executed_nothing() -> None:
    climbed = climb(POLL + RUNNING + "after_brk: stay\n" + EXPECT % 6, "6.12")
    assert ways(climbed)[-2:] == ["[done]", "[done]"]


def test_what_a_run_without_an_exit_executed_is_not_told() -> None:
    forever = f"title: on and on\nguest: {{words: {listed('b .')}}}\n"
    assert ways(climb(forever + EXPECT % 1, "6.12")) == ["?"]


def test_an_immediate_exit_executes_nothing() -> None:
    text = POLL + "before: [{immediate_exit: true}]\n" + EXPECT % 1
    assert ways(climb(text, "6.12")) == [""]


OFF = """\
title: PSCI SYSTEM_OFF
guest:
  words: CODE
  symbols: {off: 0x40000000, back: 0x40000004}
  registers: {x0: 0x84000008, pc: back}
""".replace("CODE", listed("off: hvc #0; back: b off"))


def test_a_hypercall_after_which_pc_is_where_it_was_has_been_executed() -> None:
    (rung,) = climb(OFF + EXPECT % 1, "6.12")
    assert rung.exit.exit == "SYSTEM_EVENT"
    assert ways((rung,)) == ["back off"]


WATCH = """\
title: a watchpoint in a loop
guest:
  words: CODE
  symbols: {load: 0x40000000}
  registers: {x0: 0x40000800}
debug: {watchpoints: [{at: 0x40000810, len: 8}]}
expect:
  - exits:
      - debug: {watchpoint: load, then: [{debug: {watchpoints: [{at: 0x40000820, len: 8}]}}]}
      - any: {}
""".replace("CODE", listed("load: ldr x1, [x0]; add x0, x0, #8; b load"))


def test_whether_a_watchpoint_is_hit_at_once_cannot_be_told() -> None:
    assert ways(climb(WATCH, "6.12")) == ["? [load]", "? [load]"]
