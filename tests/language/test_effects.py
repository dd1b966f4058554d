"""What the VMM does for KVM to complete an access changes nothing where there is none."""

from __future__ import annotations

import pytest
from vcpu_scenario.language.loader import loads
from vcpu_scenario.source import InvalidScenario

BASE = """\
title: t
guest: {words: [0xf9400001, 0xf9000001, 0xd42000e0], regs: {x0: 0x9000000}}
devices: {d: {handled_by: userspace, at: 0x9000000}}
debug: {software_breakpoints: true}
"""
REST = "mmio: {write: d}, debug: {brk: 0x40000008}"


def faults(text: str) -> list[str]:
    try:
        loads(BASE + text, "t.vcpu.yaml")
    except InvalidScenario as invalid:
        return [found.message for found in invalid.diagnostics]
    return []


def at(exit_: str, action: str) -> str:
    """An exit with what is done after it, and one behind it."""
    return f"expect: [{{exits: [{exit_[:-1]}, then: [{action}]}}, any: {{}}]}}]\n"


@pytest.mark.parametrize("action", ["reply: 1", "forge: {is_write: 0}", "forge: {len: 4}"])
@pytest.mark.parametrize(
    "exit_",
    [
        "debug: {brk: 0x40000008}",
        "any: {exit: DEBUG}",
        "interrupted: {pc: 0}",
        "error: {errno: EFAULT}",
        "system_event: {type: shutdown}",
    ],
)
def test_an_answer_to_what_is_no_access_is_an_error(exit_: str, action: str) -> None:
    assert faults(at(exit_, action)) == ["this changes nothing"]


@pytest.mark.parametrize(
    ("exit_", "action", "told"),
    [
        ("mmio: {write: d}", "reply: 1", ["this changes nothing"]),
        ("mmio: {write: d}", "set: {x1: 1}, reply: 1", ["this changes nothing"]),
        # Who says that it is a read may answer it as well.
        ("mmio: {write: d}", "forge: {is_write: 0}, reply: 1", []),
        ("debug: {brk: 0x40000008}", "forge: {exit_reason: 6}, reply: 1", []),
        ("mmio: {read: d}", "reply: 1", []),
        ("any: {exit: MMIO}", "reply: 1", []),
        ("any: {pc: 0x40000000}", "reply: 1", []),
    ],
)
def test_what_may_be_a_read_may_be_answered(exit_: str, action: str, told: list[str]) -> None:
    assert faults(at(exit_, action)) == told


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("before: [reply: 1]\n", ["this changes nothing"]),
        ("before: [set: {x1: 1}, forge: {len: 1}]\n", ["this changes nothing"]),
        ("before: [forge: {exit_reason: 6}]\n", []),
        ("on: [{first: {mmio: {write: d}}, then: [reply: 1]}]\n", ["this changes nothing"]),
        ("on: [{each: {mmio: {read: d}}, then: [reply: 1]}]\n", []),
        ("on: [{first: {mmio: {}}, then: [reply: 1]}]\n", []),
    ],
)
def test_nor_is_there_one_before_the_run_or_at_an_exit_of_another_kind(
    asked: str, told: list[str]
) -> None:
    assert faults(f"{asked}expect: [{{exits: [mmio: {{read: d}}, {REST}]}}]\n") == told


def test_another_vcpus_read_may_still_wait_for_its_answer() -> None:
    text = at("debug: {brk: 0x40000008}", "run_vcpu: 1, reply: 1")
    assert faults(f"vcpus: 2\n{text}") == []


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ("", ["this changes nothing"]),
        ("before: [irqfd: {gsi: 4}]\n", ["this changes nothing"]),
        ("before: [irqfd: {gsi: 3}]\n", []),
        ("before: [{irqfd: {gsi: 3}, errno: EAGAIN}]\n", []),
        ("on: [{first: {mmio: {read: d}}, then: [irqfd: {gsi: 3}]}]\n", []),
    ],
)
def test_an_eventfd_that_kvm_never_listens_to_raises_nothing(before: str, told: list[str]) -> None:
    text = f"expect: [{{exits: [mmio: {{read: d, then: [signal_irqfd: {{gsi: 3}}]}}, {REST}]}}]\n"
    assert faults(before + text) == told
    nothing = f"expect: [{{exits: [mmio: {{read: d}}, {REST}]}}]\n"
    again = before.removesuffix("]\n") + ", " if before.startswith("before") else "before: ["
    if not before.startswith("on"):
        assert faults(f"{again}signal_irqfd: {{gsi: 3}}]\n{nothing}") == told
    reacts = "on: [{first: {mmio: {write: d}}, then: [signal_irqfd: {gsi: 3}]}]\n"
    if not before.startswith("on"):
        assert faults(before + reacts + nothing) == told


def test_what_changes_something_with_some_parameters_is_none() -> None:
    reacts = "on: [{first: {mmio: {write: d}}, then: [signal_irqfd: {gsi: 3}]}]\n"
    reacts += "matrix: {gsi: [3, 4]}\nbefore: [irqfd: {gsi: '${gsi}'}]\n"
    text = f"expect: [{{exits: [mmio: {{read: d}}, {REST}]}}]\n"
    assert faults(reacts + text) == []
