"""What each variant of an expected exit checks."""

from __future__ import annotations

from typing import Any

import pytest
from vcpu_scenario.expectation import (
    Check,
    EventfdCheck,
    Expectation,
    ExpectedExit,
    MemoryCheck,
    OutputCheck,
    RegisterCheck,
)
from vcpu_scenario.source import Span

from tests.language.build import SMALL, case


def expectation(text: str, kernel: str = "6.12") -> Expectation:
    found = case(text, kernel).expectation
    assert found is not None
    return found


MEANS = "debug: {enable: true}\ncapabilities: [arm_nisv_to_user]\n"
"""What some exits cannot come without."""


def only_exit(text: str) -> ExpectedExit:
    (found,) = expectation(f"{MEANS}expect: [{{exits: [{{{text}}}]}}]\n").exits or ()
    return found


def checked(found: ExpectedExit) -> dict[str, Any]:
    """Field to value, or to (value, mask) where only some bits are checked."""
    return {
        check.field: check.value if check.mask is None else (check.value, check.mask)
        for check in found.checks
    }


EC = 0xFC000000
ISV = 1 << 24
START, DONE = 0x40000000, 0x40000004


@pytest.mark.parametrize(
    ("text", "checks"),
    [
        ("debug: {}", {"exit": "DEBUG"}),
        ("debug: {step: done}", {"exit": "DEBUG", "hsr": (0x32 << 26, EC), "pc": DONE}),
        (
            "debug: {step: done, after_emulation: true}",
            {"exit": "DEBUG", "hsr": (0x32 << 26, EC | ISV), "pc": DONE},
        ),
        (
            "debug: {step: done, after_emulation: false}",
            {"exit": "DEBUG", "hsr": (0x32 << 26 | ISV, EC | ISV), "pc": DONE},
        ),
        ("debug: {brk: done}", {"exit": "DEBUG", "hsr": (0x3C << 26, EC), "pc": DONE}),
        (
            "debug: {brk: done, imm: 7}",
            {"exit": "DEBUG", "hsr": (0x3C << 26 | 7, EC | 0xFFFF), "pc": DONE},
        ),
        (
            "debug: {hardware_breakpoint: start}",
            {"exit": "DEBUG", "hsr": (0x30 << 26, EC), "pc": START},
        ),
        (
            "debug: {watchpoint: start, access: write, far: 0x41000000}",
            {
                "exit": "DEBUG",
                "hsr": (0x34 << 26 | 1 << 6, EC | 1 << 6),
                "pc": START,
                "far": 0x41000000,
            },
        ),
        (
            "debug: {watchpoint: start, access: read}",
            {"exit": "DEBUG", "hsr": (0x34 << 26, EC | 1 << 6), "pc": START},
        ),
        (
            "debug: {hsr: 0xcb000022, hsr_high: 0, far: 5, flags: 1, pc: start}",
            {
                "exit": "DEBUG",
                "hsr": 0xCB000022,
                "hsr_high": 0,
                "far": 5,
                "flags": 1,
                "pc": START,
            },
        ),
        (
            "mmio: {read: 0x09000018, len: 4}",
            {"exit": "MMIO", "is_write": 0, "addr": 0x09000018, "len": 4},
        ),
        (
            "mmio: {write: 0x09000018, len: 2, data: 0x1234}",
            {"exit": "MMIO", "is_write": 1, "addr": 0x09000018, "len": 2, "data": b"\x34\x12"},
        ),
        (
            "mmio: {write: 0, len: 1, data: -1}",
            {"exit": "MMIO", "is_write": 1, "addr": 0, "len": 1, "data": b"\xff"},
        ),
        (
            'mmio: {write: 0, data_bytes: "01 02"}',
            {"exit": "MMIO", "is_write": 1, "addr": 0, "data": b"\x01\x02"},
        ),
        ("system_event: {}", {"exit": "SYSTEM_EVENT"}),
        ("system_event: {type: reset}", {"exit": "SYSTEM_EVENT", "type": 2}),
        (
            "system_event: {type: 1, ndata: 1, data: [0]}",
            {"exit": "SYSTEM_EVENT", "type": 1, "ndata": 1, "data": (0,)},
        ),
        (
            "arm_nisv: {esr_iss: 0x45, fault_ipa: start}",
            {"exit": "ARM_NISV", "iss": 0x45, "ipa": START},
        ),
        ("interrupted: {}", {"errno": 4}),
        ("interrupted: {exit: MMIO, pc: done}", {"errno": 4, "exit": "MMIO", "pc": DONE}),
        ("error: {}", {"ret": -1}),
        ("error: {errno: ENOSYS, exit: UNKNOWN}", {"errno": 38, "exit": "UNKNOWN"}),
        ("error: {errno: 14}", {"errno": 14}),
        ("any: {exit: INTR, pc: start}", {"exit": "INTR", "pc": START}),
    ],
)
def test_a_variant_checks_its_fields_and_no_others(text: str, checks: dict[str, Any]) -> None:
    found = only_exit(text)
    assert checked(found) == checks
    assert len(found.checks) == len(checks)
    assert found.kind == text.split(":")[0]
    assert (found.least, found.most) == (1, 1)


def test_any_exit_and_one_that_must_not_come_check_what_they_say() -> None:
    found = expectation(
        "expect: [{exits: [any: {}, mmio: {read: 0}], never: [hypercall: {nr: 5}]}]\n"
    )
    assert checked((found.exits or ())[0]) == {}
    assert checked(found.never[0]) == {"exit": "HYPERCALL", "nr": 5}


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("3", 3, 3),
        ("{least: 2}", 2, None),
        ("{most: 4}", 1, 4),
        ("{least: 0, most: 4}", 0, 4),
    ],
)
def test_repeats(text: str, least: int, most: int | None) -> None:
    found = only_exit(f"mmio: {{read: 0, repeat: {text}}}")
    assert (found.least, found.most) == (least, most)


def text_at(text: str, span: Span) -> str:
    return text.split("\n")[span.line - 1][span.column - 1 : span.end_column - 1]


def test_every_check_knows_the_text_that_asked_for_it() -> None:
    text = SMALL + (
        "debug: {}\n"
        "expect:\n"
        "- exits:\n"
        "  - debug: {brk: done, imm: 0x7, regs: {x1: done+4}, note: why}\n"
        "  - mmio: {write: done+0x4000_0000, len: 4}\n"
        "  - debug:\n"
        "      step: done\n"
        "\n"
        "  - debug: {step: done, after_emulation: true}\n"
    )
    first, second, third, fourth = expectation(text.removeprefix(SMALL)).exits or ()
    assert [text_at(text, check.span) for check in first.checks] == ["debug", "0x7", "done"]
    assert [check.written for check in first.checks] == ["debug", "imm: 0x7", "done"]
    assert first.regs == (RegisterCheck("x1", DONE + 4, "done+4", first.regs[0].span),)
    assert text_at(text, first.regs[0].span) == "done+4"
    assert first.note == "why"
    assert text_at(text, first.span) == text.split("\n")[first.span.line - 1][4:]
    assert [text_at(text, check.span) for check in second.checks] == [
        "mmio",
        "write",
        "done+0x4000_0000",
        "4",
    ]
    assert (third.span.line, third.span.end_line, third.span.end_column) == (10, 11, 17)
    assert [check.written for check in fourth.checks] == ["debug", "after_emulation: true", "done"]


def test_stops_final_state_and_refusal() -> None:
    text = """
debug: {}
devices:
  uart: {handled_by: userspace, at: 0x09000000, model: pl011}
  one: {handled_by: kernel, model: ioeventfd, at: 0x0a000000, len: 4}
  two: {handled_by: kernel, model: ioeventfd, at: 0x0a000004, len: 4}
  ring: {handled_by: kernel, model: coalesced, at: 0x0b000000, size: 16}
expect:
- kernels: ">=5.0"
  about: why
  never: [mmio: {read: uart, regs: {x9: 1}}]
  stops: [done, {at: start, reason: step, regs: {lr: 2}}]
  final:
    regs: {pc: done}
    memory: [{at: done, words: [0xd4200000]}]
    eventfd: {two: 3}
    ring: [{at: ring+4, len: 2, data: 0x102}]
    output: {uart: "Hé"}
- kernels: "4.14"
  refused: {errno: EINVAL}
"""
    found = expectation(text)
    assert found.exits is None
    assert found.about == "why"
    assert [checked(banned)["addr"] for banned in found.never] == [0x09000000]
    assert [(stop.pc, stop.reason, stop.written) for stop in found.stops or ()] == [
        (DONE, None, "done"),
        (START, "step", "start"),
    ]
    final = found.final
    assert [(check.reg, check.value) for check in final.regs] == [("pc", DONE)]
    assert final.memory == (
        MemoryCheck(DONE, bytes.fromhex("000020d4"), "done", final.memory[0].span),
    )
    assert final.eventfds == (EventfdCheck(1, "two", 3, final.eventfds[0].span),)
    assert final.ring is not None
    assert final.ring.entries == ((0x0B000004, 2, b"\x02\x01"),)
    assert final.outputs == (OutputCheck("uart", "Hé".encode(), "Hé", final.outputs[0].span),)
    refused = expectation(text, "4.14").refused
    assert refused is not None
    assert refused == Check("errno", 22, "EINVAL", refused.span)


def test_registers_that_a_clause_names_are_read() -> None:
    text = """
debug: {}
observe: [x1]
expect:
- exits: [{any: {regs: {x2: 0, lr: 0}}}, {any: {regs: {x2: 1}}}]
  never: [{any: {regs: {x3: 1}}}]
  stops: [{at: done, regs: {x4: 0}}]
  final: {regs: {x5: 0, esr_el1: 0}}
"""
    found = case(text).case
    assert found.observe == ("x1", "x2", "x30", "x3", "x4")
    assert found.final_regs == ("x5", "esr_el1")


def test_a_clause_without_exits_expects_nothing_of_them() -> None:
    assert expectation("expect: [{final: {regs: {x0: 0}}}]\n").exits is None
    assert expectation("expect: [{exits: []}]\n").exits == ()
