"""Random programs of the wider kinds: bounded, the same for each seed, and of every kind."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from vcpu_scenario.analysis.generate import PROFILES, REAL, SNAPSHOTS, WIDE, Profile, generate
from vcpu_scenario.analysis.generate.wider import WIDER
from vcpu_scenario.cli.real import Programs
from vcpu_scenario.ioctls.vm import RestoreSnapshot
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.trace import Ending
from vcpu_scenario.vmm.loop import run_case


@pytest.mark.parametrize("kind", WIDER)
@pytest.mark.parametrize("kernel", ["5.10", "7.2"])
def test_programs_of_a_kind_come_to_an_end_and_are_modelled(kind: str, kernel: str) -> None:
    profile = replace(WIDE, blocks=(kind,), length=(2, 4))
    for seed in range(6):
        case = generate(seed, profile)
        assert case == generate(seed, profile)
        machine = create(kernel)
        try:
            trace = run_case(machine, case)
        finally:
            machine.close()
        assert trace.unmodelled is None
        assert trace.exits or trace.ended is Ending.REFUSED


def test_the_programs_of_before_are_the_same() -> None:
    assert not set(WIDER) & set(REAL.blocks)


def final(seed: int, profile: Profile, register: str) -> int | None:
    """What is in ``register`` at the end of the program of ``seed``."""
    machine = create("6.12")
    try:
        return run_case(machine, generate(seed, profile)).final_regs.get(register)
    finally:
        machine.close()


def test_pages_make_faults_of_every_kind() -> None:
    profile = replace(WIDE, blocks=("pages", "remap"), actions=False)
    syndromes = [final(seed, profile, "esr_el1") or 0 for seed in range(250)]
    faults = {esr & 0x3F for esr in syndromes if esr >> 26 in (0x24, 0x25)}
    assert faults >= {0x07, 0x0B, 0x0F, 0x21}  # translation, access flag, permission, alignment


def test_many_interrupts_are_taken_one_after_the_other() -> None:
    profile = replace(WIDE, blocks=("levels",), actions=False)
    taken = {final(seed, profile, "x4") for seed in range(80)}
    assert taken & set(range(32, 40))
    assert 1023 in taken


@pytest.mark.parametrize("kernel", ["5.10", "7.2"])
def test_programs_with_snapshots_go_on_from_them_and_are_modelled(kernel: str) -> None:
    restored = 0
    for seed in range(40):
        case = generate(seed, SNAPSHOTS)
        assert replace(case, on=()) == replace(generate(seed, WIDE), on=())
        machine = create(kernel)
        try:
            trace = run_case(machine, case)
        finally:
            machine.close()
        assert trace.unmodelled is None or "T0SZ" in trace.unmodelled.what
        done = [deed for entry in trace.entries for deed in entry.did]
        restored += any(isinstance(deed, RestoreSnapshot) for deed in done)
    assert restored > 10


def test_the_command_line_offers_each_profile() -> None:
    assert list(PROFILES) == [str(name) for name in Programs]
