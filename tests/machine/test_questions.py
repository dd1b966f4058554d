"""What a VMM asks of KVM: what is known of a kernel is answered, and nothing else."""

from __future__ import annotations

import pytest
from vcpu_scenario.case import Case
from vcpu_scenario.ioctls.vm import Ask, EnableCap, GetRegister
from vcpu_scenario.kernels.extensions import extension
from vcpu_scenario.kernels.table import kernel
from vcpu_scenario.kvm.capabilities import NUMBERS
from vcpu_scenario.trace import Trace

from .test_creation import RAM, run


def asked(ask: Ask | GetRegister, on: str = "6.12") -> Trace:
    return run(Case(slots=(RAM,), before=(ask,)), on)


@pytest.mark.parametrize(
    ("cap", "on"),
    [
        ("nr_vcpus", "6.12"),
        ("max_vcpus", "7.3"),
        ("max_vcpus", "4.14"),
        ("guest_memfd_flags", "6.18"),
        ("one_reg", "6.12+cortex-a76"),
    ],
)
def test_a_capability_whose_value_nobody_saw_is_not_modelled(cap: str, on: str) -> None:
    trace = asked(Ask("KVM_CHECK_EXTENSION", NUMBERS[cap]), on)
    assert trace.unmodelled is not None
    assert trace.unmodelled.what == f"KVM_CHECK_EXTENSION KVM_CAP_{cap.upper()}"


@pytest.mark.parametrize(
    ("cap", "on"),
    [("halt_poll", "5.9"), ("arm_eager_split_chunk_size", "6.7"), ("arm_sea_to_user", "6.18")],
)
def test_a_capability_that_nobody_asked_a_kernel_for_is_not_enabled(cap: str, on: str) -> None:
    trace = run(Case(slots=(RAM,), before=(EnableCap(NUMBERS[cap]),)), on)
    assert trace.unmodelled is not None
    assert trace.unmodelled.what == f"KVM_ENABLE_CAP of KVM_CAP_{cap.upper()}"


def test_a_capability_begins_where_a_rule_or_a_kernel_that_was_asked_says() -> None:
    found = [extension(kernel(on), NUMBERS["user_memory2"]) for on in ("6.7", "6.11", "7.2")]
    assert found == [0, 1, 1]
    found = [extension(kernel(on), NUMBERS["counter_offset"]) for on in ("6.3", "6.4")]
    assert found == [0, 1]


def test_an_answer_other_than_expected_ends_the_run() -> None:
    trace = asked(Ask("KVM_GET_MP_STATE", 0, 5))
    assert "KVM_GET_MP_STATE gave runnable, expected stopped" in f"{trace.refused}{trace.error}"
    trace = asked(GetRegister("0x603000000010000a", 1))
    assert "gave 0x0, expected 0x1" in f"{trace.refused}{trace.error}"
