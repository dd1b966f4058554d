"""Of which exits each VMM tells its debugger, by what that has asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.trace import Exit
from vcpu_scenario.vmm.session import Session
from vcpu_scenario.vmm.told import Stopped, Told, Watch, Why
from vcpu_scenario.vmm.vmms import VMMS
from vcpu_scenario.vmm.vmms.base import Vmm
from vcpu_scenario.vmm.vmms.terms import HARDWARE, SOFTWARE

from tests.debugger.guests import AT, CASE, LOAD, NEXT

STEP, BREAKPOINT, WATCHPOINT = 0xC800_0000, 0xC200_0022, 0xD200_0062
BRK_0, BKPT32 = 0xF200_0000, 0xE200_0001
ACCESS = Exit("MMIO", 0, 0, LOAD, {"addr": 0x0900_0000, "len": 4, "is_write": 0}, {})


@pytest.fixture
def vmm(request: pytest.FixtureRequest) -> Iterator[Vmm]:
    session = Session(create("6.12"), CASE, getattr(request, "param", "qemu"))
    yield session.vmm
    session.close()


def debug_exit(hsr: int, pc: int = LOAD, **fields: Any) -> Exit:
    return Exit("DEBUG", 0, 0, pc, {"hsr": hsr, "far": 0, **fields}, {})


def why(told: Told | None) -> Why | None:
    assert told is None or isinstance(told, Stopped)
    return None if told is None else told.why


@pytest.mark.parametrize("vmm", VMMS, indirect=True)
def test_a_run_that_failed_is_no_stop(vmm: Vmm) -> None:
    vmm.stepping = True
    assert vmm.tells(Exit("DEBUG", -1, 4, LOAD, {"hsr": STEP, "far": 0}, {})) is None


@pytest.mark.parametrize("vmm", ["plain"], indirect=True)
@pytest.mark.parametrize(
    ("hsr", "reason"),
    [
        (BREAKPOINT, Why.HARDWARE),
        (WATCHPOINT, Why.WATCH),
        (BKPT32, Why.SOFTWARE),
        (BRK_0, Why.SOFTWARE),
        (STEP, Why.STEP),
    ],
)
def test_the_reason_is_that_of_the_syndrome(vmm: Vmm, hsr: int, reason: Why) -> None:
    assert why(vmm.tells(debug_exit(hsr))) is reason


def test_qemu_tells_of_a_step_that_was_asked_for(vmm: Vmm) -> None:
    assert vmm.tells(debug_exit(STEP)) is None
    vmm.resume(step=True)
    assert why(vmm.tells(debug_exit(STEP))) is Why.STEP


@pytest.mark.parametrize(
    ("kind", "hsr", "reason"),
    [(SOFTWARE, BRK_0, Why.SOFTWARE), (HARDWARE, BREAKPOINT, Why.HARDWARE)],
)
def test_qemu_tells_of_its_own_breakpoints(vmm: Vmm, kind: int, hsr: int, reason: Why) -> None:
    vmm.insert(kind, LOAD, 4)
    assert why(vmm.tells(debug_exit(hsr))) is reason
    assert vmm.tells(debug_exit(hsr, NEXT)) is None
    vmm.remove(kind, LOAD, 4)
    assert vmm.tells(debug_exit(hsr)) is None


@pytest.mark.parametrize(
    ("length", "far", "known"),
    [
        (8, 0x5000, True),
        (8, 0x5004, False),
        (8, 0, False),
        (3, 0x5001, False),
        (16, 0x4FFF, False),
        (16, 0x500F, True),
        (16, 0x5010, True),
        (16, 0x5011, False),
        (0x10000, 0x5000, False),  # the mask of 16 has no room in QEMU's four bits
    ],
)
def test_qemu_knows_a_watchpoint_by_its_first_byte_unless_it_has_a_mask(
    vmm: Vmm, length: int, far: int, known: bool
) -> None:
    vmm.watches.append(watch := Watch(0x5000, length, "w"))
    told = vmm.tells(debug_exit(WATCHPOINT, far=far))
    assert told == (Stopped(Why.WATCH, watch=watch) if known else None)


@pytest.mark.parametrize("vmm", ["qemu-2017"], indirect=True)
def test_the_patch_of_2017_tells_of_an_access_while_it_steps(vmm: Vmm) -> None:
    assert vmm.tells(ACCESS) is None
    vmm.resume(step=True)
    assert why(vmm.tells(ACCESS)) is Why.STEP
    assert vmm.debug.control & abi.KVM_GUESTDBG_SINGLESTEP
    assert vmm.read_register(32) == AT
