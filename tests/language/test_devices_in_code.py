"""Devices by their names in guest code, as everywhere else in a scenario."""

from __future__ import annotations

from pathlib import Path

import pytest
from vcpu_scenario.assembly import cache as wordcache
from vcpu_scenario.assembly.assembled import NoAssembler
from vcpu_scenario.language import load
from vcpu_scenario.language.model import Scenario
from vcpu_scenario.source import InvalidScenario

from tests.language.build import scenario

NAMED = """\
title: code that names devices
guest:
  code: |
    start: ldr  x0, =uart
           ldr  x1, =uart+FR
           ldr  x2, =gic + GICD_TYPER
           mov  x3, #uart
           ldr  w4, [x0, #uart+FR-uart]
    flag:  .quad uart+CR + 1
devices:
  uart: {handled_by: userspace, model: pl011, at: 0x09000000}
  gic: {handled_by: kernel, model: vgic-v3, distributor: 0x08000000, redistributor: 0x080a0000}
expect: [{exits: [mmio: {read: uart+FR}]}]
"""
PLAIN = (
    NAMED.replace("=uart+FR", "=0x09000018")
    .replace("gic + GICD_TYPER", "0x08000004")
    .replace("#uart+FR-uart", "#0x18")
    .replace("#uart", "#0x09000000")
    .replace("=uart", "=0x09000000")
    .replace("uart+CR + 1", "0x09000031")
)


def code_of(found: Scenario) -> bytes:
    return found.combinations[0].case.loads[0].data


def test_a_name_is_the_address_that_could_be_written() -> None:
    named, plain = scenario(NAMED), scenario(PLAIN)
    assert code_of(named) == code_of(plain)
    assert named.combinations[0].symbols == plain.combinations[0].symbols
    assert named.combinations[0].lines.keys() == plain.combinations[0].lines.keys()


def test_the_words_are_kept_with_the_addresses_and_need_no_assembler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "made.vcpu.yaml"
    path.write_text(NAMED)
    before = load(path)
    assert wordcache.refresh(path, before.sources)
    assert wordcache.differences(path, before.sources) == []

    def assemble(*_: object) -> None:
        raise NoAssembler("there is none")

    monkeypatch.setattr(wordcache, "assemble", assemble)
    assert load(path).combinations == before.combinations
    # At another address the code is another one.
    path.write_text(NAMED.replace("0x09000000", "0x09010000"))
    with pytest.raises(InvalidScenario, match="this code needs an assembler"):
        load(path)


def test_each_row_of_a_matrix_has_its_own_address() -> None:
    text = NAMED.replace("at: 0x09000000", 'at: "${place}"') + (
        "matrix: {place: [0x09000000, 0x09010000]}\n"
    )
    found = scenario(text)
    first, second = (each.case.loads[0].data for each in found.combinations)
    assert first == code_of(scenario(NAMED))
    assert second == code_of(scenario(NAMED.replace("0x09000000", "0x09010000")))
    assert len(found.sources) == 2


def test_code_that_was_accepted_before_keeps_its_meaning() -> None:
    """Names of devices that are something else in assembly, in a file of version 1."""
    text = (
        "title: t\n"
        "guest: {code: '.equ uart, 4; mov x1, #uart; orr x2, xzr, x1, lsl #2; b.eq .'}\n"
        "devices:\n"
        "  lsl: {handled_by: userspace, at: 0x09001000}\n"
        "  x1: {handled_by: userspace, at: 0x09002000}\n"
        "  eq: {handled_by: userspace, at: 0x09003000}\n"
        "expect: [{exits: [system_event: {}]}]\n"
    )
    assert code_of(scenario(text)) == bytes.fromhex("810080d2 e20b01aa 00000054")


def test_a_fault_behind_a_name_is_where_it_is_written() -> None:
    text = NAMED.replace("mov  x3, #uart", "mov  x3, #uart ; ldr x5, =nowhere")
    with pytest.raises(InvalidScenario) as raised:
        scenario(text)
    (found,) = raised.value.diagnostics
    line = text.split("\n")[found.span.line - 1]
    assert line[found.span.column - 1 :].startswith("nowhere")
