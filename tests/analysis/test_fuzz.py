"""Differential fuzzing, with a stand-in for the real kernel that is wrong in a known way."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from vcpu_scenario.analysis.fuzz import attempt
from vcpu_scenario.analysis.shrink import shrunk
from vcpu_scenario.case import Case, HostInterrupt, Limits, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.kvm import abi
from vcpu_scenario.language.loader import loads
from vcpu_scenario.running.execute import execute_on
from vcpu_scenario.running.targets import BadTarget, Emulated, Found, Lost, beyond_real_kvm, target
from vcpu_scenario.trace import Trace

NOP, MOV, BRK = 0xD503_201F, 0xD280_0540, 0xD420_00E0
RAM = Memslot(0x4000_0000, 0x10000)


def program(*words: int) -> Case:
    code = b"".join(word.to_bytes(4, "little") for word in words)
    debug = GuestDebug(abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_USE_SW_BP)
    return Case(
        (RAM,),
        (Load(RAM.base, code),),
        (("pc", RAM.base),),
        debug=debug,
        skip_brk="never",
        limits=Limits(exits=2, repeats=1),
    )


class Wrong(Emulated):
    """Emulates 6.12, and reads 42 in x0 as 43."""

    real = True

    def run(self, case: Case, kernel: str) -> Found:
        found = super().run(case, kernel)
        assert isinstance(found, Trace)
        exits = tuple(
            replace(
                exit_, regs={reg: 43 if value == 42 else value for reg, value in exit_.regs.items()}
            )
            for exit_ in found.exits
        )
        return replace(found, exits=exits)


class Panics(Emulated):
    """A kernel that no case leaves alive."""

    real = True

    def run(self, case: Case, kernel: str) -> Found:
        return Lost("the guest ended", "Kernel panic")


def test_a_difference_is_shrunk_to_what_makes_it() -> None:
    """Only the MOV that sets x0 to 42, and the BRK that shows it, are left."""
    case = program(NOP, 0xD280_0001, NOP, MOV, 0xD280_0002, BRK)
    outcome = attempt(1, case, Wrong("6.12"), Emulated("6.12"), shrink=True)
    assert (outcome.state, outcome.kind) == ("differs", "exit: regs.x0")
    assert outcome.case is not None
    assert outcome.case.loads[0].data == program(MOV, BRK).loads[0].data
    assert outcome.case.observe == ("x0", "x1", "x2", "x3") or outcome.case.observe == ("x0",)


def test_what_does_not_differ_is_the_same() -> None:
    emulated = Emulated("6.12")
    assert attempt(1, program(MOV, BRK), emulated, emulated, shrink=True).state == "same"


def test_a_program_that_spins_is_not_compared_where_the_clock_ends_it() -> None:
    outcome = attempt(1, program(0x1400_0000), Panics("6.12"), Emulated("6.12"), shrink=True)
    assert (outcome.state, outcome.kind) == ("skipped", "spins before its first exit")


def test_a_kernel_that_panics_is_told_with_its_console() -> None:
    outcome = attempt(1, program(BRK), Panics("6.12"), Emulated("6.12"), shrink=True)
    assert (outcome.state, outcome.console) == ("lost", "Kernel panic")


def test_shrinking_keeps_what_must_hold() -> None:
    case = program(NOP, MOV, MOV, BRK)
    held: list[Case] = []

    def holds(candidate: Case) -> bool:
        kept = MOV.to_bytes(4, "little") in candidate.loads[0].data
        held.extend([candidate] if kept else [])
        return kept

    small = shrunk(case, holds, exits=2)
    assert small.loads[0].data.count(MOV.to_bytes(4, "little")) == 1
    assert small in held


def test_a_host_interrupt_is_beyond_real_kvm() -> None:
    assert "host_interrupt" in beyond_real_kvm(replace(program(BRK), before=(HostInterrupt(),)))
    assert not beyond_real_kvm(program(BRK))


@pytest.mark.parametrize("name", ["lab", "lab:", "lap:6.12", "emulated:4.4", "kvm:6.12", "lab:x"])
def test_a_machine_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(BadTarget):
        target(name)


SCENARIO = """
title: a breakpoint
guest: {at: 0x40000000, words: [0xd42000e0]}
debug: {software_breakpoints: true}
capabilities: [arm_nisv_to_user]
expect:
  - exits: [debug: {brk: 0x40000000, imm: 7}]
"""


class Real(Emulated):
    real = True


def test_a_capability_that_the_kernel_lacks_is_a_skip() -> None:
    (old,) = loads(SCENARIO, "a.vcpu.yaml").cases(["5.0"])
    (new,) = loads(SCENARIO, "a.vcpu.yaml").cases(["6.12"])
    assert execute_on(old, Real()).verdict == "skip"
    assert execute_on(new, Real()).verdict == "pass"


def test_a_kernel_lost_over_a_case_is_an_error() -> None:
    (case,) = loads(SCENARIO, "a.vcpu.yaml").cases(["6.12"])
    result = execute_on(case, Panics("6.12"))
    assert (result.verdict, result.detail) == ("error", "Kernel panic")
