"""What holds of every program on every kernel.

``--random-cases N`` takes more seeds than there is time for always. A case that breaks an invariant
is shrunk, and the failure shows it as a scenario.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import pytest
from msgspec.structs import replace
from vcpu_scenario.actions.kind import Unwritable
from vcpu_scenario.analysis.generate import Profile, generate
from vcpu_scenario.analysis.generate.blocks import BLOCKS
from vcpu_scenario.analysis.shrink import shrunk
from vcpu_scenario.arm64.branches import successors
from vcpu_scenario.case import Case, Limits
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.kernels.release import KNOWN_RELEASES, parse_release
from vcpu_scenario.kernels.table import kernel
from vcpu_scenario.kvm import abi
from vcpu_scenario.language.write import write
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.trace import Exit, Trace
from vcpu_scenario.vmm.loop import run_case

from tests.analysis.legal import faults

KERNELS: Final = (*KNOWN_RELEASES, "4.18-v2trap", "5.0-v2trap", "6.12-v2trap")
PARTS: Final = 8
"""In so many tests the seeds are taken, for as many processes to share."""
KERNELS_A_SEED: Final = 4


def seeds(config: pytest.Config, part: int) -> range:
    return range(part, config.getoption("--random-cases"), PARTS)


def kernels_of(seed: int) -> tuple[str, ...]:
    """Some kernels, other ones for the next seed."""
    start = seed * KERNELS_A_SEED
    return tuple(KERNELS[(start + n) % len(KERNELS)] for n in range(KERNELS_A_SEED))


def run(case: Case, name: str) -> Trace:
    machine = create(name)
    try:
        return run_case(machine, case)
    finally:
        machine.close()


Invariant = Callable[[Case, str], str]
"""What a case on a kernel does that it must not; empty if there is nothing."""


def check(case: Case, name: str, broken: Invariant, seed: int) -> None:
    if not broken(case, name):
        return
    small = shrunk(case, lambda candidate: bool(broken(candidate, name)), exits=case.limits.exits)
    what = broken(small, name)
    try:
        text = write(small, title=f"seed {seed} on {name}")
    except Unwritable as error:
        text = f"{small} ({error})"
    pytest.fail(f"seed {seed} on {name}: {what}\n{text}", pytrace=False)


# -- every exit has its cause, and always the same -------------------------------------------------


def is_illegal(case: Case, name: str) -> str:
    trace = run(case, name)
    return "; ".join(faults(case, name, trace)[:3])


def is_random(case: Case, name: str) -> str:
    return "" if run(case, name) == run(case, name) else "another trace the second time"


@pytest.mark.slow
@pytest.mark.parametrize("broken", [is_illegal, is_random])
@pytest.mark.parametrize("part", range(PARTS))
def test_every_exit_is_legal_and_the_same_on_repeat(
    part: int, broken: Invariant, pytestconfig: pytest.Config
) -> None:
    for seed in seeds(pytestconfig, part):
        case = generate(seed)
        for name in kernels_of(seed):
            check(case, name, broken, seed)


# -- stepping changes nothing but what is reported -------------------------------------------------

STEPPABLE: Final = Profile(
    # An exception to EL2 between a load-exclusive and its store clears the monitor: a program can
    # tell by them whether it is stepped.
    blocks=tuple(name for name in BLOCKS if name != "exclusives"),
    actions=False,
)
WATCHED: Final = abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_USE_SW_BP
STEPPED: Final = WATCHED | abi.KVM_GUESTDBG_SINGLESTEP
_SS: Final = 1 << 21
_SHOWS_SS: Final = ("pstate", "spsr_el1", "x5")
"""PSTATE.SS is seen in PSTATE, saved by exceptions, and read from there by the vectors into x5."""
_STEP_EC: Final = 0x32


def steppable(seed: int, name: str) -> Case:
    case = generate(seed, STEPPABLE)
    caps = case.caps if kernel(name).capabilities else ()
    limits = Limits(exits=4000, instructions=200_000, seconds=60.0)
    return replace(case, caps=caps, debug=GuestDebug(WATCHED), skip_brk="always", limits=limits)


def is_changed_by_steps(case: Case, name: str) -> str:
    free = run(case, name)
    if free.ended not in ("system event", "error"):
        return ""  # it does not come to an end of its own
    stepped = run(replace(case, debug=GuestDebug(STEPPED)), name)
    if stepped.ended != free.ended:
        return f"it ends with {stepped.ended}, unstepped with {free.ended}"
    for what in (_registers, _state, _other_exits):
        one, other = what(free), what(stepped)
        if one != other:
            return f"{what.__name__[1:]}: {_parted(one, other)}"
    return ""


def _registers(trace: Trace) -> list[tuple[str, int]]:
    return [
        (reg, value & ~_SS if reg in _SHOWS_SS else value)
        for reg, value in trace.final_regs.items()
    ]


def _state(trace: Trace) -> list[Any]:
    return [trace.memory, trace.eventfd, trace.ring, trace.output]


def _other_exits(trace: Trace) -> list[Any]:
    """Exits but steps; FAR is not written by all, and then shows what was there before."""
    return [
        (exit_.exit, exit_.ret, exit_.errno, {k: v for k, v in exit_.fields.items() if k != "far"})
        for exit_ in trace.exits
        if not _is_step(exit_)
    ]


def _is_step(exit_: Exit) -> bool:
    return exit_.exit == "DEBUG" and exit_.fields["hsr"] >> 26 == _STEP_EC


def _parted(one: list[Any], other: list[Any]) -> str:
    for first, second in zip(one, other, strict=False):
        if first != second:
            return f"{first}, stepped {second}"
    return f"{len(one)}, stepped {len(other)}"


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_a_program_does_the_same_stepped_and_unstepped(
    part: int, pytestconfig: pytest.Config
) -> None:
    """On every release: before 6.14, too, only what is reported of the steps differs."""
    for seed in seeds(pytestconfig, part):
        for name in kernels_of(seed):
            check(steppable(seed, name), name, is_changed_by_steps, seed)


# -- and since 6.14 every instruction is reported --------------------------------------------------

CORRECT: Final = tuple(name for name in KNOWN_RELEASES if parse_release(name).numbers >= (6, 14))

_MODIFIES: Final = ("modify-code", "el0", "big-endian")


@cache
def plain_profile() -> Profile:
    """Without what changes code, and without what is not stepped from where it seems."""
    names = tuple(name for name in STEPPABLE.blocks if name not in _MODIFIES)
    return replace(STEPPABLE, blocks=names)


def skips_an_instruction(case: Case, name: str) -> str:
    """Each step ends where the instruction before it leads, or at a vector."""
    trace = run(replace(case, debug=GuestDebug(STEPPED)), name)
    code = {load.addr: load.data for load in case.loads}
    before = dict(case.regs)["pc"]
    for number, exit_ in enumerate(trace.exits):
        if exit_.errno or exit_.exit not in ("DEBUG", "MMIO"):
            return ""
        if exit_.exit == "MMIO":
            continue  # pc stays until the access is completed, and then its step is reported
        if not _is_step(exit_):
            before = exit_.pc + 4  # a BRK, which the VMM skips
            continue
        word = _word(code, before)
        leads = successors(word, before) if word is not None else ()
        vector = exit_.pc & 0x7F == 0 and exit_.pc & 0x7FF in range(0, 0x800, 0x80)
        if leads and exit_.pc not in leads and not vector:
            return f"exit {number}: from {before:#x} ({word:#x}) to {exit_.pc:#x}"
        before = exit_.pc
    return ""


def _word(code: dict[int, bytes], addr: int) -> int | None:
    for base, data in code.items():
        if base <= addr <= base + len(data) - 4:
            return int.from_bytes(data[addr - base : addr - base + 4], "little")
    return None


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_since_6_14_no_step_passes_over_an_instruction(
    part: int, pytestconfig: pytest.Config
) -> None:
    for seed in seeds(pytestconfig, part):
        case = generate(seed, plain_profile())
        name = CORRECT[seed % len(CORRECT)]
        limits = Limits(exits=2000, instructions=200_000, seconds=60.0)
        case = replace(case, skip_brk="always", limits=limits)
        check(case, name, skips_an_instruction, seed)


def test_before_5_11_some_step_does() -> None:
    """The same question of a kernel that loses steps has an answer: the test can fail."""
    found = [
        seed
        for seed in range(12)
        if skips_an_instruction(
            replace(generate(seed, plain_profile()), skip_brk="always", caps=()), "5.10"
        )
    ]
    assert found
