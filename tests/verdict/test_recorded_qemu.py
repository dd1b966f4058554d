"""QEMU's personalities tell what the real QEMU told its debugger, step after step.

Recorded from QEMU 7.2.22, as Debian has it and with the patch of 2017, over its gdbstub under KVM
of six kernels on a Cortex-A57 (from 6.16 on a Cortex-A72). Every register of every stop counts but
x5 of guest ``g``: GICD_TYPER depends on how many interrupts a VMM asks for.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from vcpu_scenario.case import Case, Device, Gic, GuestDebug, Limits, Load, Memslot
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.vmm.loop import run_case
from vcpu_scenario.vmm.personality import stops_of

RECORDED: Final = json.loads(
    (Path(__file__).parents[1] / "recorded/vmm/qemu-steps.json").read_text()
)
SESSIONS: Final[list[Any]] = RECORDED["sessions"]
REGISTERS: Final = tuple(f"x{n}" for n in range(16))
AT: Final = 0x4020_0000
STEPPING: Final = GuestDebug(
    abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_SINGLESTEP | abi.KVM_GUESTDBG_USE_SW_BP
)


def case_of(session: Any) -> Case:
    words = RECORDED["guests"][session["guest"]]["words"]
    code = b"".join(word.to_bytes(4, "little") for word in words)
    return Case(
        slots=(Memslot(AT, 0x10000),),
        loads=(Load(AT, code),),
        regs=(("pc", AT),),
        gic=Gic(3, 0x0800_0000, 0x080A_0000),
        devices=(Device("uart", 0x0900_0000, 0x1000, "pl011"),),
        debug=STEPPING,
        observe=REGISTERS,
        limits=Limits(exits=100, repeats=None),
        vmm=session["vmm"],
    )


def told(session: Any) -> list[tuple[int, dict[str, int]]]:
    """pc and registers of each stop after the first, which is where the debugger came in."""
    case = case_of(session)
    machine = create(session["kernel"])
    try:
        trace = run_case(machine, case)
    finally:
        machine.close()
    return [(stop.pc, _comparable(session, stop.regs)) for stop in stops_of(case.vmm, case, trace)]


def recorded(session: Any) -> list[tuple[int, dict[str, int]]]:
    now: dict[str, int] = {}
    stops = []
    for pc, changed in session["stops"]:
        now = {**now, **changed}
        stops.append((pc, _comparable(session, now)))
    return stops[1:]


def _comparable(session: Any, registers: Any) -> dict[str, int]:
    unknown = {"x5"} if session["guest"] == "g" else set()
    return {name: value for name, value in registers.items() if name not in unknown}


@pytest.mark.parametrize("number", range(len(SESSIONS)))
def test_every_stop_is_the_one_that_was_told(number: int) -> None:
    session = SESSIONS[number]
    expected = recorded(session)
    assert told(session)[: len(expected)] == expected


def test_both_personalities_were_recorded_on_six_kernels() -> None:
    found = {(each["vmm"], each["kernel"]) for each in SESSIONS}
    assert len(found) == 12
    assert sum(len(each["stops"]) - 1 for each in SESSIONS) > 600
