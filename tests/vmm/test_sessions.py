"""QEMU's personalities tell their debugger what real QEMU told it, in every recorded session.

All registers, pc and PSTATE of every stop count, but for what is told here by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest
from vcpu_scenario.case import Case
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.loop import run_case

from .sessions import Resume, Session, play, sessions

OF_THE_HOST: Final = {
    ("g", "x5", 0x7A0008): "GICD_TYPER: how many interrupts QEMU asks for",
    ("x", "x7", 0x11): "GICR_TYPER.PLPIS: QEMU has an ITS",
    ("dev", "x1", 0x11): "GICR_TYPER.PLPIS: QEMU has an ITS",
    ("sys", "x5", 0x410FD083): "MIDR_EL1 of a Cortex-A72",
}
"""(guest, register, recorded value) of what is no matter of KVM's."""

ENDS: Final = {
    ("g", "limits"): "no memslot: a breakpoint in a device",
    ("g", "wild-el2"): "KVM_SET_ONE_REG refuses PSTATE, and QEMU takes no notice",
    ("g", "wild-a32"): "not modelled: AArch32",
    ("g", "wild-el0-a32"): "not modelled: AArch32",
    ("mmu", "bp"): "no memslot: a software breakpoint at a virtual address",
    ("reset", "steps"): "a run ends with its system event",
    ("reset", "hw"): "a run ends with its system event",
}
"""Sessions that are compared up to where our run ends, and why it does."""

LEFT_OUT: Final[Mapping[tuple[str, ...], str]] = {
    ("spin", "drop"): "the client goes away",
    ("wfi", "steps"): "at which step the timer fires is a matter of time",
}

LEAST: Final = {
    ("qemu-steps", "7.2.22"): 253,
    ("qemu-wide", "10.0.13"): 875,
    ("qemu-wide", "7.2.22"): 2,
}
"""Resumes that are compared in each recording of a file by a version of QEMU."""

FILES: Final = ("qemu-steps", "qemu-wide")


def emulated(kernel: str, case: Case) -> Trace:
    machine = create(kernel)
    try:
        return run_case(machine, case)
    finally:
        machine.close()


def recordings() -> list[tuple[str, str, str, str]]:
    seen = {
        (file, each.kernel, each.vmm, each.version): None
        for file in FILES
        for each in sessions(file)
    }
    return list(seen)


def compared(session: Session, resume: Resume) -> bool:
    """Whether the resume is one to compare; where our run ended, that must be known."""
    if not resume.ended or resume.recorded is None:
        return True
    known = (session.guest, session.name) in ENDS
    assert known, f"{session.guest}.{session.name}: {resume.number}: {resume.ended}"
    return False


def differences(session: Session, resume: Resume) -> Mapping[str, object]:
    return {
        name: values
        for name, values in resume.differences().items()
        if (session.guest, name, values[0]) not in OF_THE_HOST
    }


def left_out(session: Session) -> bool:
    name = (session.guest, session.name)
    return name in LEFT_OUT or (*name, session.kernel) in LEFT_OUT


@pytest.mark.slow
@pytest.mark.parametrize(("file", "kernel", "vmm", "version"), recordings())
def test_every_stop_is_as_it_was_told(file: str, kernel: str, vmm: str, version: str) -> None:
    wrong, same = [], 0
    for session in sessions(file):
        if (session.kernel, session.vmm, session.version) != (kernel, vmm, version):
            continue
        if left_out(session):
            continue
        for resume in play(session, emulated):
            if not compared(session, resume):
                continue
            if parted := differences(session, resume):
                wrong.append((session.guest, session.name, resume.number, parted))
            else:
                same += 1
    assert not wrong, (len(wrong), same, wrong[:3])
    assert same >= LEAST[file, version], same


def test_both_personalities_were_recorded_on_six_kernels() -> None:
    found = {(each.vmm, each.kernel) for each in sessions("qemu-steps")}
    assert len(found) == 12
    assert {each.kernel for each in sessions("qemu-wide")} == {kernel for _, kernel in found}


def test_what_is_not_compared_is_recorded() -> None:
    every = {(each.guest, each.name) for file in FILES for each in sessions(file)}
    assert {name[:2] for name in LEFT_OUT} | set(ENDS) <= every
    assert {guest for guest, _, _ in OF_THE_HOST} <= {guest for guest, _ in every}
