"""Timers fire: their interrupts, what they wake, and how time goes by until they do."""

from __future__ import annotations

import pytest
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.case import Gic, Limits
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.trace import Ending, Trace

from .test_bounds import code, run

CONTROLS = {"virtual": (3, 3, 14, 3, 1), "physical": (3, 3, 14, 2, 1)}
VALUES = {"virtual": (3, 3, 14, 3, 0), "physical": (3, 3, 14, 2, 0)}
BRK = 0xD420_00E0
SECOND = 62_500_000
GIC = Gic(3, 0x800_0000, 0x80A_0000)
BOTH = pytest.mark.parametrize("timer", ["virtual", "physical"])


def armed(timer: str, ticks: int, *after: int, kernel: str = "6.12", **more: object) -> Trace:
    """A guest that enables ``timer``, ``ticks`` ahead, and goes on with ``after``."""
    words = [*w.mov(1, ticks), w.msr(1, VALUES[timer])]
    words += [w.movz(1, 1), w.msr(1, CONTROLS[timer]), *after, BRK]
    limits = Limits(exits=1, instructions=1_000_000, seconds=0.3)
    given = {"debug": GuestDebug(0x1_0001), "observe": ("x1", "x3"), "limits": limits, **more}
    return run(code(*words, **given), kernel)


@BOTH
@pytest.mark.parametrize("after", [w.b(0), w.WFI])
def test_without_a_gic_a_timer_that_fires_is_the_vmms_matter(timer: str, after: int) -> None:
    trace = armed(timer, 20_000, after)
    assert trace.ended is Ending.INTERRUPTED
    assert trace.exits[0].exit == "INTR"


@BOTH
def test_a_wait_lasts_until_the_timer_fires_and_no_longer_than_the_run_may(timer: str) -> None:
    soon = armed(timer, SECOND // 10, w.WFI, gic=GIC, kernel="5.18")
    assert soon.exits[0].exit == "DEBUG"
    assert armed(timer, SECOND, w.WFI, gic=GIC, kernel="5.18").ended is Ending.INTERRUPTED


@BOTH
def test_since_5_19_a_timer_whose_interrupt_is_not_enabled_ends_no_wait(timer: str) -> None:
    assert armed(timer, SECOND // 10, w.WFI, gic=GIC, kernel="5.19").ended is Ending.INTERRUPTED


@BOTH
def test_a_wait_without_a_timer_is_as_long_as_the_run_may_be(timer: str) -> None:
    masked = (w.movz(1, 3), w.msr(1, CONTROLS[timer]), w.WFI)
    assert armed(timer, 100, *masked, gic=GIC).ended is Ending.INTERRUPTED


@BOTH
def test_who_polls_sees_the_condition_met_in_the_end(timer: str) -> None:
    poll = (w.mrs(3, CONTROLS[timer]), w.tbz(3, 2, -4))
    trace = armed(timer, 5_000, *poll, gic=GIC)
    assert trace.exits[0].regs["x3"] == 5
    assert armed(timer, 5_000, *poll, gic=GIC) == trace


def test_a_timer_far_off_does_not_fire() -> None:
    trace = armed("virtual", 0x7FFF_FFFF, w.mrs(3, CONTROLS["virtual"]))
    assert trace.exits[0].exit == "DEBUG"
    assert trace.exits[0].regs["x3"] == 1


WAIT = (w.mrs(2, (3, 3, 14, 0, 2)), w.mrs(3, (3, 3, 14, 0, 2)), 0xCB02_0063, 0xEB01_007F)
"""mrs x2, cntvct_el0; mrs x3, cntvct_el0; sub x3, x3, x2; cmp x3, x1"""


def test_a_loop_that_waits_for_a_second_ends_soon_and_a_little_late() -> None:
    again = 0x54FF_FFA3  # b.lo to the second read
    given = {"debug": GuestDebug(0x1_0001), "observe": ("x3",)}
    limits = Limits(exits=1, instructions=10_000, seconds=0.3)
    trace = run(code(*w.mov(1, SECOND), *WAIT, again, BRK, limits=limits, **given), "6.12")
    assert trace.exits[0].exit == "DEBUG"
    assert SECOND <= trace.exits[0].regs["x3"] < SECOND * 33 // 32 + 100


def test_a_loop_that_waits_passes_no_timer_that_fires_before() -> None:
    later = (*w.mov(1, SECOND), *WAIT, 0x54FF_FFA3)
    trace = armed("virtual", SECOND // 10, *later)
    assert trace.ended is Ending.INTERRUPTED
    assert trace.exits[0].regs["x3"] < SECOND // 10 + 100


def test_an_exit_takes_time_before_any_timer_was_enabled() -> None:
    counter = (3, 3, 14, 0, 2)
    words = [w.mrs(2, counter), *w.mov(0, 0x8400_0000)]
    words += [0xD400_0002, w.mrs(3, counter), 0xCB02_0063, BRK]
    given = {"debug": GuestDebug(0x1_0001), "observe": ("x3",)}
    trace = run(code(*words, limits=Limits(exits=1), **given), "6.12")
    assert trace.exits[0].regs["x3"] > 600
