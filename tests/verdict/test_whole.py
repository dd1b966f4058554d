"""A run that was cut is no pass, unless somebody said where it may be."""

from __future__ import annotations

import pytest
from vcpu_scenario.language import loads
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.running.execute import execute
from vcpu_scenario.source import InvalidScenario

from tests.guests import words

LOOP = words(
    "mov x0, #0x09000000; mov x1, #50; loop: ldr w2, [x0]; sub x1, x1, #1; cbnz x1, loop;"
    "str w2, [x0, #8]; brk #7"
)
HANG = words("b .")
TEXT = """\
title: t
guest: {words: %s}
devices:
  dev: {handled_by: userspace, at: 0x09000000, size: 8}
  bell: {handled_by: kernel, model: ioeventfd, at: 0x09000010, len: 4}
debug: {software_breakpoints: true}
%s
expect: [{%s}]
"""


def verdict(code: tuple[int, ...], clause: str, more: str = "") -> tuple[str, list[str]]:
    text = TEXT % (list(code), more, clause)
    (case,) = loads(text, "t.vcpu.yaml").cases(["6.12"])
    found = execute(case, create)
    return str(found.verdict), [str(one.kind) for one in found.mismatches]


@pytest.mark.parametrize(
    "clause",
    [
        "never: [mmio: {write: 0x09000008}]",
        "exits: [mmio: {read: dev}, any: {repeat: {least: 1}}], never: [mmio: {write: 0x09000008}]",
        "exits: [mmio: {read: dev, repeat: {least: 3}}]",
        "final: {eventfd: {bell: 0}}",
        "final: {regs: {x3: 0}}",
    ],
)
def test_a_run_that_nobody_bounded_must_come_to_its_end(clause: str) -> None:
    assert verdict(LOOP, clause) == ("fail", ["cut"])
    assert verdict(LOOP, clause, "limits: {exits: 10}") == ("pass", [])


@pytest.mark.parametrize(
    "clause",
    [
        "final: {regs: {x5: 0}}",
        "never: [system_event: {}]",
        "exits: [any: {}], final: {regs: {x5: 0}}",
        "exits: [any: {repeat: {least: 0}}], never: [mmio: {read: dev}]",
    ],
)
def test_a_guest_that_hangs_where_nobody_expects_it_is_a_failure(clause: str) -> None:
    assert verdict(HANG, clause) == ("fail", ["cut"])


STOPS = "vmm: [plain], stops: []"


@pytest.mark.parametrize("beside", ["never: [system_event: {}]", "final: {regs: {x5: 0}}"])
def test_stops_alone_excuse_a_hang_and_what_stands_beside_them_does_not(beside: str) -> None:
    assert verdict(HANG, STOPS) == ("pass", [])
    assert verdict(LOOP, STOPS) == ("fail", ["cut"])
    assert verdict(HANG, f"{STOPS}, {beside}") == ("fail", ["cut"])


@pytest.mark.parametrize(
    ("clause", "more", "wanted"),
    [
        ("never: [debug: {brk: 0x40000008}]", "", ("fail", ["cut"])),
        ("final: {regs: {x0: 0x09000000}}", "", ("fail", ["cut"])),
        ("final: {regs: {x0: 0x09000000}}", "limits: {exits: 1}", ("pass", [])),
        ("exits: [error: {errno: ENOSYS}]", "", ("pass", [])),
    ],
)
def test_a_kvm_run_that_fails_where_nobody_expects_it_is_a_failure(
    clause: str, more: str, wanted: tuple[str, list[str]]
) -> None:
    assert verdict(words("mov x0, #0x09000000; ldp x1, x2, [x0]; brk #7"), clause, more) == wanted


def test_a_run_that_was_cut_is_not_the_failure_that_a_clause_knows_of() -> None:
    known = "xfail: {reason: known, link: 'https://example.org/1'}"
    assert verdict(HANG, f"exits: [debug: {{brk: 0x40000000}}], {known}")[0] == "fail"


def test_a_hang_that_is_expected_is_none() -> None:
    assert verdict(HANG, "exits: [interrupted: {}]") == ("pass", [])
    assert verdict(HANG, "final: {regs: {x5: 0}}", "before: [immediate_exit: true]") == ("pass", [])


def test_an_interruption_is_no_error_unless_its_errno_is_named() -> None:
    assert verdict(HANG, "exits: [error: {}]")[0] == "fail"
    assert verdict(HANG, "exits: [error: {errno: EINTR}]") == ("pass", [])
    several = "exits: [any: {repeat: {least: 0}}, error: {}, any: {repeat: {least: 0}}]"
    assert verdict(HANG, several, "before: [immediate_exit: true]") == ("fail", ["missing"])
    assert verdict(HANG, "exits: [interrupted: {}], never: [error: {}]") == ("pass", [])


@pytest.mark.parametrize(
    "clause",
    [
        "exits: [mmio: {read: dev}], never: [mmio: {write: dev}]",
        "exits: [mmio: {read: dev}], never: [system_event: {type: shutdown}]",
    ],
)
def test_what_never_comes_is_looked_for_behind_the_exits_or_is_an_error(clause: str) -> None:
    with pytest.raises(InvalidScenario, match="asserts nothing beside these exits"):
        verdict(LOOP, clause)


def test_bytes_that_no_write_has_are_an_error() -> None:
    with pytest.raises(InvalidScenario, match="a write has no so many bytes"):
        verdict(LOOP, 'exits: [mmio: {write: dev, data_bytes: "00 00 00 00 00 00 00 00 ff"}]')
