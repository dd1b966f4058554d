"""Random programs for an ITS: the same for each seed, and of every command that there is."""

from __future__ import annotations

from collections import Counter

from vcpu_scenario.analysis.generate import ITS, generate
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.vmm.loop import run_case

_FIRST_LPI = 8192
_QUEUE = 0x4001_0000
_COMMANDS = {0x1, 0x3, 0x4, 0x5, 0x8, 0x9, 0xA, 0xB, 0xC, 0xD, 0xE, 0xF}


def test_lpis_are_taken_and_every_command_is_there() -> None:
    commands, ends, took = set[int](), Counter[str](), 0
    for seed in range(60):
        case = generate(seed, ITS)
        assert case == generate(seed, ITS)
        (queue,) = (load.data for load in case.loads if load.addr == _QUEUE)
        commands |= set(queue[::32])
        machine = create("6.12")
        try:
            trace = run_case(machine, case)
        finally:
            machine.close()
        ends[str(trace.ended)] += 1
        told = {exit_.regs.get("x1", 1023) for exit_ in trace.exits}
        took += any(_FIRST_LPI <= intid < _FIRST_LPI + 16 for intid in told)
    assert commands >= _COMMANDS
    assert took > 15
    assert ends["not modelled"] < 6
