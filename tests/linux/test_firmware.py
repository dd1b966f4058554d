"""Guests that find what is around them by a device tree, and are typed to."""

from __future__ import annotations

from pathlib import Path

import fdt
import pytest
from vcpu_scenario.language import load
from vcpu_scenario.language.model import ScenarioCase
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.running.execute import execute
from vcpu_scenario.source import InvalidScenario
from vcpu_scenario.verdict.result import Result, Verdict

from tests.guests import listed

WORDS = listed(
    """\
mov x0, #0x09000000; mov w1, #'>'; strb w1, [x0]; ldr w2, [x0, #0x18]; tbnz w2, #4, . - 4
ldrb w1, [x0]; strb w1, [x0]; cmp w1, #'q'; b.ne . - 28; mov w0, #8; movk w0, #0x8400, lsl #16
hvc #0"""
)
"""Prompts, echoes a character, and ends after a q."""
SCENARIO = """\
title: a monitor
memory: [{at: 0x40000000, size: 64KiB}]
guest: {words: WORDS, GUEST}
devices:
  uart:
    handled_by: userspace
    model: pl011
    at: 0x09000000
    console: true
    typed: [TYPED]
expect:
  - exits: [system_event: {type: shutdown}]
    final: {FINAL}
"""
TYPED = '{after: ">", text: a}, {after: ">", text: b}, {after: ">", text: q}'


def case(
    folder: Path,
    typed: str = TYPED,
    final: str = 'output_has: {uart: [">a", ">b", q]}',
    guest: str = "symbols: {}",
) -> ScenarioCase:
    path = folder / "made.vcpu.yaml"
    text = SCENARIO.replace("WORDS", WORDS).replace("TYPED", typed)
    path.write_text(text.replace("FINAL", final).replace("GUEST", guest))
    return next(iter(load(path).cases()))


def run(folder: Path, typed: str = TYPED, final: str = "output: {uart: '>a>b>q'}") -> Result:
    return execute(case(folder, typed, final), create)


def test_what_is_typed_waits_for_each_prompt(tmp_path: Path) -> None:
    assert run(tmp_path).verdict is Verdict.PASS


def test_a_prompt_is_waited_for_behind_the_one_before(tmp_path: Path) -> None:
    """What was waited for already does not count again: nothing has been sent since."""
    typed = '{after: ">", text: a}, {after: ">a>", text: q}, {after: "a>", text: q}'
    result = run(tmp_path, typed, "output: {uart: '>a>'}")
    assert result.verdict is Verdict.FAIL
    assert "not done: what is typed to uart after `>a>`" in [
        found.message for found in result.mismatches
    ]
    assert result.trace is not None
    assert result.trace.output["uart"] == b">a>"


@pytest.mark.parametrize(
    ("parts", "missing"),
    [
        ('[">a", "b>"]', ""),
        ('[">b", ">a"]', "'>a' in it, found '>q'"),
        ('[">a", ">a"]', "'>a' in it, found '>b>q'"),
        ("[x]", "'x' in it, found '>a>b>q'"),
    ],
)
def test_parts_of_an_output_come_in_their_order(tmp_path: Path, parts: str, missing: str) -> None:
    result = run(tmp_path, final=f"output_has: {{uart: {parts}}}")
    assert result.verdict is (Verdict.FAIL if missing else Verdict.PASS)
    assert [one.message for one in result.mismatches] == (
        [f"output of uart: expected {missing}"] if missing else []
    )


def test_a_device_tree_lies_where_it_is_asked_for(tmp_path: Path) -> None:
    found = case(tmp_path, guest="device_tree: 0x40008000").case
    tree = next(load for load in found.loads if load.addr == 0x4000_8000)
    names = {node.name for node in fdt.parse_dtb(tree.data).root.nodes}
    assert {"memory@40000000", "pl011@9000000"} <= names
    assert "x0" not in dict(found.regs)


def test_a_device_tree_outside_memory_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(InvalidScenario, match="outside the guest's memory"):
        case(tmp_path, guest="device_tree: 0x50000000")


GIC = "{handled_by: kernel, model: vgic-v2, distributor: 0x08000000, cpu_interface: 0x08010000}"


def interrupting(folder: Path, gic: str = f"gic: {GIC}", spi: int = 40) -> ScenarioCase:
    path = folder / "interrupting.vcpu.yaml"
    uart = f"uart: {{handled_by: userspace, model: pl011, at: 0x09000000, spi: {spi}}}"
    path.write_text(
        "title: a UART with an interrupt\n"
        "guest: {words: [0xd4000002], device_tree: 0x40008000}\n"
        f"devices:\n  {uart}\n  {gic}\n"
        "expect:\n  - exits: [system_event: {}]\n"
    )
    return next(iter(load(path).cases()))


def test_the_device_tree_has_the_interrupt_that_a_uart_raises(tmp_path: Path) -> None:
    case = interrupting(tmp_path).case
    blob = next(load.data for load in case.loads if load.addr == 0x4000_8000)
    tree = fdt.parse_dtb(blob)
    assert tree.get_property("interrupts", "pl011@9000000").data == [0, 8, 4]


@pytest.mark.parametrize(
    ("gic", "spi", "why"),
    [
        (
            "port: {handled_by: userspace, at: 0x08000000}",
            40,
            "an interrupt and no interrupt contr",
        ),
        (f"gic: {GIC}", 31, "out of range"),
        (f"gic: {GIC}", 64, "out of range"),
        (
            f"gic: {GIC}\n"
            "  second: {handled_by: userspace, model: pl011, at: 0x09001000, spi: 40}",
            40,
            "`second` has the interrupt of `uart`",
        ),
    ],
)
def test_an_interrupt_that_nothing_takes_is_a_fault(
    tmp_path: Path, gic: str, spi: int, why: str
) -> None:
    with pytest.raises(InvalidScenario, match=why):
        interrupting(tmp_path, gic, spi)
