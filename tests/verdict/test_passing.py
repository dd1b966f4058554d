"""Where a run does not get past what stops it, the mismatch says how it would."""

from __future__ import annotations

import pytest
from vcpu_scenario import loads, run

from tests.guests import listed

RAM = "memory: [{at: 0x40000000, size: 0x10000}]\n"
CODE = listed("ldr w1, [x0]; nop; brk #1")
GUEST = f"guest: {{words: {CODE}, registers: {{x0: 0x40000100}}}}\n"
WATCH = "watchpoints: [{at: 0x40000100, len: 8}]"
AT = 0x4000_0000


def notes(debug: str, expect: str) -> str:
    (result,) = run(
        loads(f"title: t\n{RAM}{GUEST}debug: {{{debug}}}\nexpect: [{{{expect}}}]\n"), "6.12"
    )
    assert result.verdict == "fail"
    return "\n".join(note for mismatch in result.mismatches for note in mismatch.notes)


@pytest.mark.parametrize(
    ("debug", "exits", "words"),
    [
        (WATCH, "[debug: {watchpoint: 0x40000000}, debug: {brk: 0x40000008}]", "each time its acc"),
        (
            "hardware_breakpoints: [0x40000000]",
            "[debug: {hardware_breakpoint: 0x40000000}, debug: {brk: 0x40000008}]",
            "each time its instruction",
        ),
        (
            "single_step: true",
            "[debug: {step: 0x40000004}, debug: {step: 0x40000008}, debug: {brk: 0x40000008,"
            " then: [set: {x1: 1}]}, debug: {step: 0x4000000c}]",
            "skip_instruction",
        ),
    ],
)
def test_a_missing_exit_says_how_to_get_there(debug: str, exits: str, words: str) -> None:
    assert words in notes(debug, f"exits: {exits}")


def test_a_stop_says_so_too() -> None:
    stops = "stops: [{at: 0x40000000, reason: watchpoint}, 0x40000004]"
    assert "each time its access" in notes(WATCH, f"{stops}, exits: [any: {{repeat: 2}}]")


def test_what_is_got_past_is_not_spoken_of() -> None:
    exits = "[debug: {watchpoint: 0x40000000, then: [debug: {enable: true}]}, debug: {step: 0}]"
    assert "each time" not in notes(f"{WATCH}, software_breakpoints: true", f"exits: {exits}")
