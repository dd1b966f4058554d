"""Back and forth again gives the same states."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from vcpu_scenario.case import Load
from vcpu_scenario.debugger.finer import state_of
from vcpu_scenario.debugger.history import History
from vcpu_scenario.vmm.session import never
from vcpu_scenario.vmm.told import Stopped, Why
from vcpu_scenario.vmm.vmms import VMMS
from vcpu_scenario.vmm.vmms.terms import HARDWARE, PC, SOFTWARE

from tests.debugger.guests import AGAIN, AT, CASE, CELL, LOAD, NEXT, STORE, making
from tests.guests import binary


def states(history: History, steps: int) -> list[tuple[int, ...]]:
    found = [state_of(history.session)]
    for _ in range(steps):
        history.resume(True, never)
        found.append(state_of(history.session))
    return found


@pytest.mark.parametrize("kernel", ["4.14", "5.10", "6.12", "7.2"])
@pytest.mark.parametrize("vmm", [vmm for vmm in VMMS if vmm != "firecracker"])
def test_all_the_way_back_and_forth_again(vmm: str, kernel: str) -> None:
    history = History(making(vmm, kernel))
    there = states(history, 12)
    for expected in reversed(there[:-1]):
        assert history.back(step=True) == Stopped(Why.STEP)
        assert state_of(history.session) == expected
    assert history.back(step=True) is None
    assert states(history, 12) == there
    history.close()


_ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("step"), st.integers(1, 3)),
        st.tuples(st.just("register"), st.integers(2, 6)),
        st.tuples(st.just("memory"), st.integers(0, 7)),
        st.tuples(st.just("to"), st.sampled_from([NEXT, STORE, AGAIN])),
        st.tuples(st.just("interrupt"), st.just(0)),
    ),
    max_size=8,
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_ACTIONS)
def test_whatever_was_done_it_is_undone_stop_by_stop(actions: list[tuple[str, int]]) -> None:
    history = History(making("qemu", "5.10"))
    for kind, number in actions:
        do(history, kind, number)
    while history.back(step=True) is not None:
        assert history.length < 200
    assert history.read_register(PC) == AT
    history.close()


def test_a_guest_that_was_interrupted_before_it_went_on_goes_back_to_where_it_is() -> None:
    history = History(making())
    history.resume(True, never)
    history.resume(False, lambda: True)
    assert history.back(step=True) == Stopped(Why.STEP)
    assert history.read_register(PC) == AT + 4
    history.close()


def do(history: History, kind: str, number: int) -> None:
    if kind == "step":
        for _ in range(number):
            history.resume(True, never)
    elif kind == "register":
        history.write_register(number, 7 * number)
    elif kind == "memory":
        history.write_memory(CELL + number, b"\x5a")
    elif kind == "to":
        if history.read_register(PC) < number:
            history.insert(0, number, 4)
            history.resume(False, never)
            history.remove(0, number, 4)
    else:
        left = iter(range(number))
        history.resume(False, lambda: next(left, None) is None)


def test_back_into_a_resume_of_many_instructions() -> None:
    history = History(making())
    history.insert(0, STORE, 4)
    history.resume(False, never)
    assert history.back(step=True) == Stopped(Why.STEP)
    assert history.read_register(PC) == NEXT
    history.close()


def test_back_to_the_breakpoint_that_was_passed_last() -> None:
    history = History(making())
    for _ in range(12):
        history.resume(True, never)
    history.insert(1, LOAD, 4)
    history.insert(0, AGAIN, 4)
    assert history.back(step=False) == Stopped(Why.SOFTWARE)
    assert history.read_register(PC) == AGAIN
    assert history.back(step=False) is not None
    passed = []
    while history.back(step=False) is not None:
        passed.append(history.read_register(PC))
    assert passed[-1:] in ([LOAD], [])
    assert history.read_register(PC) == AT
    history.close()


def test_breakpoints_are_the_debuggers_and_not_the_pasts() -> None:
    history = History(making())
    history.resume(True, never)
    history.insert(1, LOAD, 4)
    history.back(step=True)
    assert history.session.vmm.hardware == [LOAD]
    history.resume(False, never)
    assert history.read_register(PC) == LOAD
    history.close()


COUNTS: Final = binary("""
    mov x0, #5000
    again: sub x0, x0, #1
    cbnz x0, again
    nop
    nop
    b .
""")


@pytest.mark.parametrize("vmm", [vmm for vmm in VMMS if vmm != "firecracker"])
@pytest.mark.parametrize("kernel", ["5.10", "6.12"])
def test_the_way_back_into_a_long_resume_does_few_things(vmm: str, kernel: str) -> None:
    """Not each of its ten thousand instructions: only the last ones are stepped."""
    history = History(making(vmm, kernel, replace(CASE, loads=(Load(AT, COUNTS),))))
    history.insert(HARDWARE, AT + 16, 4)
    history.resume(False, never)
    assert history.session.pc == AT + 16
    pcs = []
    back = 250 if (vmm, kernel) == ("plain", "6.12") else 10
    for _ in range(back):
        history.back(step=True)
        pcs.append((history.session.pc, history.read_register(0)))
        assert history.length < 250
    assert pcs == expected_back(back)
    history.close()


def expected_back(count: int) -> list[tuple[int, int]]:
    """Where the guest is and what x0 holds, backwards from the breakpoint behind the first nop."""
    found = [(AT + 12, 0)]
    left = 0
    while len(found) < count:
        found += [(AT + 8, left), (AT + 4, left + 1)]
        left += 1
    return found[:count]


def test_the_way_back_into_an_interrupted_resume_leads_on_as_it_did() -> None:
    left = iter(range(3))
    history = History(making("qemu", "6.12", replace(CASE, loads=(Load(AT, COUNTS),))))
    history.resume(False, lambda: next(left, None) is None)
    there = state_of(history.session)
    history.back(step=True)
    assert state_of(history.session) != there
    assert history.length < 250
    history.resume(True, never)
    assert state_of(history.session) == there
    history.close()


@pytest.mark.parametrize("vmm", ["plain", "qemu"])
def test_a_breakpoint_that_is_set_twice_or_written_over_is_no_hindrance(vmm: str) -> None:
    history = History(making(vmm, "6.12"))
    for _ in range(2):
        history.insert(SOFTWARE, LOAD, 4)
    history.resume(False, never)
    history.insert(SOFTWARE, STORE, 4)
    history.write_memory(STORE, bytes(4))
    assert history.back(step=False) is None
    history.clear_points()
    history.close()
