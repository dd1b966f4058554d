"""The timers of releases before 5.6, of which no kernel was recorded: as their source has them."""

from __future__ import annotations

import pytest
from vcpu_scenario.case import Gic, Limits
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.trace import Trace

from tests.guests import words

from .test_bounds import code, run

GIC = Gic(3, 0x800_0000, 0x80A_0000)
LIMITS = Limits(exits=1, instructions=100_000, seconds=0.3)
GIVEN = {"debug": GuestDebug(0x1_0001), "observe": ("x3", "x4"), "gic": GIC, "limits": LIMITS}


def physical_value(kernel: str) -> Trace:
    guest = words(
        """ldr x1, =0x1ffffffff; msr cntp_tval_el0, x1; mrs x3, cntp_tval_el0
        mrs x4, cntp_cval_el0; mrs x5, cntpct_el0; sub x4, x4, x5; asr x4, x4, #20; brk #7"""
    )
    return run(code(*guest, **GIVEN), kernel)


@pytest.mark.parametrize(
    ("kernel", "high", "ahead"), [("4.14", 1, 8191), ("5.4", 1, 8191), ("5.6", 0, -1)]
)
def test_cntp_tval_of_the_timer_that_kvm_emulates_is_a_word_since_5_6(
    kernel: str, high: int, ahead: int
) -> None:
    (stop,) = physical_value(kernel).exits
    assert stop.regs["x3"] >> 32 == high
    assert stop.regs["x4"] == ahead & (1 << 64) - 1


def test_cntp_tval_of_5_1_is_not_modelled() -> None:
    unmodelled = physical_value("5.1").unmodelled
    assert unmodelled is not None
    assert "CNTP_TVAL_EL0 of 5.1" in unmodelled.what


def enabled_late(kernel: str, *, still_up: bool) -> Trace:
    """A guest whose virtual timer fires while its interrupt is disabled, and that enables the
    interrupt after it has turned the timer off, or while it is ``still_up``."""
    arms = words(
        """movz x0, #0x0800, lsl #16; mov w1, #0x12; str w1, [x0]
        movz x0, #0x080b, lsl #16; mov w1, #-1; str w1, [x0, #0x80]
        mov x1, #0xf0; msr icc_pmr_el1, x1; mov x1, #1; msr icc_igrpen1_el1, x1
        mov x2, #1000; msr cntv_tval_el0, x2; msr cntv_ctl_el0, x1
        mrs x3, cntv_ctl_el0; tbz x3, #2, . - 4"""
    )
    stops = words("msr cntv_ctl_el0, xzr")
    enables = words("movz w1, #0x0800, lsl #16; str w1, [x0, #0x100]; isb; mrs x3, isr_el1; brk #7")
    return run(code(*arms, *(() if still_up else stops), *enables, **GIVEN), kernel)


@pytest.mark.parametrize("kernel", ["5.0", "5.3", "6.12"])
def test_a_timer_that_is_up_when_its_interrupt_is_enabled_interrupts(kernel: str) -> None:
    assert enabled_late(kernel, still_up=True).exits[0].regs["x3"] == 0x80


def test_a_timer_that_was_up_while_its_interrupt_was_disabled_interrupts_no_more_since_5_3() -> (
    None
):
    assert enabled_late("5.3", still_up=False).exits[0].regs["x3"] == 0
    unmodelled = enabled_late("5.0", still_up=False).unmodelled
    assert unmodelled is not None
    assert "interrupt 27 enabled" in unmodelled.what
