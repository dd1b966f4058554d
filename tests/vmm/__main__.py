"""``python -m tests.vmm --lab 5.10``: random programs under each VMM's debugger, on a real kernel.

Each is stepped through, or run from breakpoint to breakpoint, with every VMM, in the lab and on
the emulated machine as that kernel. Every stop counts, with why, pc and all registers, and how it
ended. A guest that takes exceptions without end is not run in the lab: it can keep QEMU from its
timers, and none of them comes back. Ends with status 1 where there is a difference.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

from msgspec.structs import replace
from vcpu_scenario.analysis.generate import PROFILES, generate
from vcpu_scenario.case import Case
from vcpu_scenario.course import Course, End, Landing, Steps
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.kernels.release import parse_release
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import id_of
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.machine.real.lab import Lab, LabOptions
from vcpu_scenario.running.targets.real import booting
from vcpu_scenario.vmm.stepping import step_through
from vcpu_scenario.vmm.vmms import VMMS

_STEP: Final = GuestDebug(abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_SINGLESTEP)
_VECTORS: Final = 0x800
"""Bytes behind VBAR_EL1: a guest that is cut off there takes exceptions without end."""
_MANY: Final = 8
_OF_TIME: Final = (End.RUNS, End.WAITS)
"""Where the guest is when a ^C ends these is the clock's choice."""


def program(seed: int, profile: str) -> Case:
    """Every other one is stepped from its first instruction on, whatever it asks for. What it
    observes is among the registers of each stop, and on a real kernel each read takes its time."""
    case = replace(generate(seed, PROFILES[profile]), observe=())
    return case if seed % 2 else replace(case, debug=_STEP)


def compared(lab: Lab, kernel: str, case: Case, vmm: str) -> tuple[str, str]:
    """``same``, ``differs``, ``lost`` or ``not compared``, and why."""
    try:
        machine = create(kernel)
        try:
            model = step_through(machine, case, vmm)
            vectors = machine.get_one_reg(id_of("vbar_el1"))
        finally:
            machine.close()
    except Unsupported as unsupported:
        return "not compared", str(unsupported)
    spins = vectors <= model.pc < vectors + _VECTORS or _exits_without_end(model)
    if model.end is End.RUNS and spins:
        return "not compared", "never returns"
    real = lab.step(Steps(case, vmm))
    if not isinstance(real, Course):
        return "lost", real.reason
    parted = next(differences(model, real), "")
    if parted:
        return "differs", parted
    ended = model.end is End.NOT_MODELLED
    return ("not compared", f"to its end: {model.words}") if ended else ("same", "")


def _exits_without_end(model: Course) -> bool:
    """Whether the VMM makes one ``KVM_RUN`` after the other: in a second they are too many to be
    sent."""
    return len(model.trace.exits) - model.landings[-1].exits >= _MANY


def differences(model: Course, real: Course) -> Iterator[str]:
    """What a debugger would see, the model's first."""
    pairs = zip_longest(model.landings, real.landings)
    for number, (one, other) in enumerate(pairs):
        if one is None and model.end is End.NOT_MODELLED:
            return
        if one is None or other is None:
            yield f"stop {number}: {_said(one)} ({model.end}), not {_said(other)} ({real.end})"
            return
        if (one.why, one.pc, one.regs) != (other.why, other.pc, other.regs):
            yield f"stop {number}: {_said(one)}, not {_said(other)}{_registers(one, other)}"
    if model.end is End.NOT_MODELLED:
        return
    if (model.end, model.words, model.unset) != (real.end, real.words, real.unset):
        yield f"{model.end} {model.words} {model.unset}, not {real.end} {real.words} {real.unset}"
    elif model.end not in _OF_TIME and model.pc != real.pc:
        yield f"{model.end} at {model.pc:#x}, not {real.pc:#x}"


def _said(landing: Landing | None) -> str:
    return "none" if landing is None else f"{landing.why} at {landing.pc:#x}"


def _registers(one: Landing, other: Landing) -> str:
    pairs = enumerate(zip(one.regs, other.regs, strict=True))
    parted = [f"{number}: {a:#x}, not {b:#x}" for number, (a, b) in pairs if a != b]
    return "".join(f"; register {each}" for each in parted[:4])


def count_of(counts: Counter[tuple[str, str]], state: str) -> int:
    return sum(count for (_, one), count in counts.items() if one == state)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.vmm", description=__doc__)
    parser.add_argument("--lab", required=True, metavar="KERNEL", help="kernel to ask (6.12)")
    parser.add_argument("--count", type=int, default=100, help="how many programs")
    parser.add_argument("--seed", type=int, default=0, help="the first one's")
    parser.add_argument("--profile", default="narrow", choices=[*PROFILES])
    parser.add_argument("--vmm", action="append", choices=[*VMMS], help="by default all")
    parser.add_argument("--turn", type=int, help="one VMM for each program: this one for the first")
    given = parser.parse_args()
    vmms = given.vmm or [*VMMS]
    turn = given.turn

    def each_for(seed: int) -> Sequence[str]:
        return vmms if turn is None else [vmms[(seed // 2 + turn) % len(vmms)]]

    booted = parse_release(given.lab)
    options = booting(booted.host, LabOptions(case_seconds=15.0))
    counts: Counter[tuple[str, str]] = Counter()
    with Lab(str(booted.on("")), options) as lab:
        for seed in range(given.seed, given.seed + given.count):
            case = program(seed, given.profile)
            for vmm in each_for(seed):
                state, why = compared(lab, given.lab, case, vmm)
                counts[vmm, f"{state}: {why}" if state == "not compared" else state] += 1
                if state in ("differs", "lost"):
                    print(f"{seed} {vmm}: {state}: {why}", flush=True)
    for (vmm, state), count in sorted(counts.items()):
        print(f"lab:{given.lab}: {vmm}: {count} {state}")
    print(f"lab:{given.lab}: {count_of(counts, 'same')} of {counts.total()} sessions are the same")
    return int(any(state in ("differs", "lost") for _, state in counts))


if __name__ == "__main__":
    sys.exit(main())
