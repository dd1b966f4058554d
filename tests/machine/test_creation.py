"""The ioctls that make a VM, made once more: what real kernels refused on a Cortex-A57."""

from __future__ import annotations

from errno import EBUSY, EEXIST, EINVAL, ENODEV, ENOENT, ENOEXEC

import pytest
from vcpu_scenario.case import Action, Attempt, Case, Gic, Memslot, RunVcpu, SetRegister
from vcpu_scenario.ioctls.vcpu import InitVcpu
from vcpu_scenario.ioctls.vm import (
    CreateIrqchip,
    CreateVcpu,
    CreateVm,
    EnableCap,
    GetRegWritableMasks,
    SetCounterOffset,
)
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.machine.errors import Lacking
from vcpu_scenario.trace import Ending, Trace
from vcpu_scenario.vmm.loop import run_case

RAM = Memslot(0x4000_0000, 0x1000)
GICV3 = Gic(3, 0x0800_0000, redist=0x080A_0000)
GICV2 = Gic(2, 0x0800_0000, cpu=0x0801_0000)


def run(case: Case, kernel: str = "6.12") -> Trace:
    machine = create(kernel)
    try:
        return run_case(machine, case)
    finally:
        machine.close()


def first(*actions: Action, kernel: str = "6.12") -> Trace:
    return run(Case(slots=(RAM,), setup=actions), kernel)


@pytest.mark.parametrize("type_", [0, 32, 33, 36, 40, 44])
def test_a_vm_has_as_many_bits_of_ipas_as_the_cpu_has(type_: int) -> None:
    assert first(CreateVm(type_)).ended is not Ending.REFUSED


@pytest.mark.parametrize("type_", [1, 31, 45, 48, 52, 0x100, 0x128])
def test_other_types_of_vm_are_refused(type_: int) -> None:
    trace = first(CreateVm(type_))
    assert (trace.errno, trace.error) == (EINVAL, f"KVM_CREATE_VM {type_:#x}: EINVAL")
    assert first(Attempt(CreateVm(type_), EINVAL)).error is None


def test_up_to_4_19_a_vm_has_no_type() -> None:
    assert first(CreateVm(40), kernel="4.19").errno == EINVAL
    assert first(CreateVm(0), kernel="4.19").error is None


def test_what_is_not_refused_is_told_with_what_was_expected() -> None:
    trace = first(Attempt(CreateVm(40), EINVAL))
    assert trace.ended is Ending.NOT_REFUSED
    assert trace.refused == "KVM_CREATE_VM 0x28 succeeded, expected EINVAL"


@pytest.mark.parametrize(
    ("number", "gic", "errno"),
    [
        (0, None, EEXIST),
        (512, None, EINVAL),
        (1, GICV3, EBUSY),
        (512, GICV3, EINVAL),
        (8, GICV2, EBUSY),
    ],
)
def test_a_further_vcpu_is_refused(number: int, gic: Gic | None, errno: int) -> None:
    trace = run(Case(slots=(RAM,), gic=gic, before=(CreateVcpu(number),)))
    assert trace.errno == errno


def test_a_vcpu_beside_those_of_the_set_up_runs_once_it_is_initialised() -> None:
    asked = (CreateVcpu(5), RunVcpu(5))
    trace = run(Case(slots=(RAM,), before=asked))
    assert trace.errno == ENOEXEC
    trace = run(Case(slots=(RAM,), before=(*asked, InitVcpu())))
    assert trace.exits[0].fields["vcpu"] == 5


@pytest.mark.parametrize(("gic", "errno"), [(None, ENODEV), (GICV3, ENODEV), (GICV2, EEXIST)])
def test_an_interrupt_controller_is_made_on_a_host_with_a_gicv2(
    gic: Gic | None, errno: int
) -> None:
    trace = run(Case(slots=(RAM,), gic=gic, before=(CreateIrqchip(),)))
    assert trace.errno == errno


def test_a_vcpu_that_is_initialised_takes_no_further_features() -> None:
    trace = run(Case(slots=(RAM,), before=(InitVcpu(None, None, 1 << 1),)))
    assert trace.errno == EINVAL


@pytest.mark.parametrize(
    ("init", "errno"),
    [
        (InitVcpu(None, 1), EINVAL),
        (InitVcpu(None, 99), EINVAL),
        (InitVcpu(None, None, 1 << 9), ENOENT),
        (InitVcpu(None, None, 1 << 32), ENOENT),
        (InitVcpu(None, None, 1 << 4), EINVAL),
        (InitVcpu(None, None, 1 << 5), EINVAL),
    ],
)
def test_a_vcpu_that_the_host_cannot_have_is_refused(init: InitVcpu, errno: int) -> None:
    assert first(init).errno == errno


def test_el2_without_vhe_is_taken_of_a_guest_without_el2() -> None:
    """Debian's 6.16 and 7.2 take it (``system_supported_vcpu_features``)."""
    e2h0 = InitVcpu(None, None, 1 << 8)
    assert first(e2h0, kernel="6.12").errno == ENOENT
    taken = first(e2h0, kernel="7.2").unmodelled
    assert taken is not None
    assert taken.what == "a vCPU with features 0x100"


@pytest.mark.parametrize(
    "cap", [EnableCap(9999), EnableCap(0), EnableCap(177, flags=1), EnableCap(168, 0, 2)]
)
def test_a_capability_that_is_none_is_refused(cap: EnableCap) -> None:
    assert first(cap).errno == EINVAL


def test_a_capability_is_enabled_by_its_number() -> None:
    assert first(EnableCap(177)).error is None
    assert first(EnableCap(177), kernel="5.4").errno == EINVAL


def test_once_the_offset_is_set_no_register_sets_the_counters() -> None:
    def count(*actions: Action) -> int:
        before = (*actions, SetRegister("cntvct_el0", 1 << 62))
        found = run(Case(slots=(RAM,), before=before, final_regs=("cntvct_el0", "cntpct_el0")))
        assert found.error is None
        return found.final_regs["cntvct_el0"] >> 60

    assert count() == 4
    assert count(SetCounterOffset(0xF000_0000_0000_0000)) == 1


def test_an_offset_has_nothing_reserved() -> None:
    assert first(SetCounterOffset(0, reserved=1)).errno == EINVAL


def test_masks_are_asked_for_with_nothing_reserved_and_of_a_kernel_that_was_recorded() -> None:
    assert first(GetRegWritableMasks(reserved=1)).errno == EINVAL
    assert first(GetRegWritableMasks(range=1)).errno == EINVAL
    with pytest.raises(Lacking):
        first(GetRegWritableMasks(), kernel="6.6")
    assert first(GetRegWritableMasks(), kernel="6.13").ended is Ending.NOT_MODELLED


def test_a_mask_that_is_not_expected_is_told_by_its_register() -> None:
    masks = (("s3_1_c0_c0_1", 1), ("ctr_el0", 0x300F_000F))
    told = first(GetRegWritableMasks(masks)).refused
    assert told is not None
    assert "clidr_el1 0x7fffffffffff and not 0x1" in told
    assert "ctr_el0" not in told
