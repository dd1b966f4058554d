"""``python -m benchmarks``: prints what the machine costs, as ratios to the floor of this run."""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from vcpu_scenario.actions.guestdebug import struct_of
from vcpu_scenario.case import Case, Ioeventfd, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.machine import EmulatedMachine, create
from vcpu_scenario.recordings.jobs import jobs
from vcpu_scenario.vmm.loop import run_case
from vcpu_scenario.vmm.setup import set_up

from benchmarks import floor, guestcode

KERNEL = "6.12"
COUNT = 20_000
GUEST_COUNT = 5_000_000
ROUNDS = 5
RECORDED = Path(__file__).parents[1] / "tests/recorded/core.json.xz"
SCENARIO = """\
title: one load that the VMM emulates, stepped
guest:
  at: 0x40000000
  words: [0xd2a12000, 0xb9401801, 0x91000442, 0xd4200000]
debug: {single_step: true}
expect:
  - exits:
      - debug: {step: 0x40000004}
      - mmio: {read: 0x09000018, len: 4, reply: 0x90}
      - debug: {step: 0x40000008, after_emulation: true}
"""
OF_MATRIX = "\nguest:\n  regs: {x5: '${x5}', x6: '${x6}'}\n"
MATRIX = f"""\
matrix:
  x5: {list(range(50))}
  x6: {list(range(40))}
"""


def matrix_scenario() -> str:
    """A scenario with 2,000 combinations of parameters, each another case."""
    return SCENARIO.replace("\nguest:\n", OF_MATRIX, 1) + MATRIX


def machine(
    code: tuple[int, ...], *, stepping: bool = False, bell: bool = False
) -> EmulatedMachine:
    """A machine whose guest loops over ``code``."""
    made = create(KERNEL)
    case = Case(
        slots=(Memslot(floor.BASE, 1 << 20),),
        loads=(Load(floor.BASE, struct.pack(f"<{len(code)}I", *code)),),
        regs=(("pc", floor.BASE), ("x0", floor.HOLE)),
        ioeventfds=(Ioeventfd(floor.HOLE, 4),) if bell else (),
    )
    set_up(made, case)
    if stepping:
        step = GuestDebug(abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_SINGLESTEP)
        made.set_guest_debug(struct_of(step))
    return made


def runs(made: EmulatedMachine, count: int) -> float:
    """Seconds for one KVM_RUN."""
    run = made.kvm_run
    for _ in range(200):
        run(instructions=1_000_000, seconds=10)
    start = process_time()
    for _ in range(count):
        run(instructions=1_000_000, seconds=10)
    return (process_time() - start) / count


def handled(code: tuple[int, ...], exits: int, *, bell: bool = False) -> float:
    """Seconds for one exit that the kernel handles: a run of so many, ended by its budget."""
    from vcpu_scenario.machine.emulated.vcpurun import EXIT_COST

    made = machine(code, bell=bell)
    made.kvm_run(instructions=EXIT_COST * 50, seconds=10)
    start = process_time()
    made.kvm_run(instructions=EXIT_COST * exits, seconds=60)
    return (process_time() - start) / exits


def exceptions(count: int) -> float:
    """Seconds for an exception to the guest's own vector and its return."""
    from vcpu_scenario.machine.emulated.cpu.core import EXCEPTION_COST

    vector = 0x200 // 4
    code = [0xD4000001, 0x17FFFFFF] + [0] * (vector - 2) + [0xD69F03E0]  # svc; b .-4; eret
    made = machine(tuple(code))
    made.set_one_reg(vbar(), floor.BASE)
    made.kvm_run(instructions=EXCEPTION_COST * 50, seconds=10)
    start = process_time()
    made.kvm_run(instructions=EXCEPTION_COST * count, seconds=60)
    return (process_time() - start) / count


def vbar() -> int:
    from vcpu_scenario.kvm.registers import id_of

    return id_of("vbar_el1")


def cases_per_second() -> float:
    recorded = list(jobs(RECORDED))
    start, done = process_time(), 0
    while process_time() - start < 2:
        for job in recorded:
            made = create(KERNEL)
            run_case(made, job.case)
            made.close()
        done += len(recorded)
    return done / (process_time() - start)


def cold_start() -> tuple[float, float]:
    """Seconds from the command to the verdict of one scenario, and of CPU in them."""
    with tempfile.TemporaryDirectory() as folder:
        return _command(SCENARIO, folder, ROUNDS)


def matrix() -> tuple[float, float]:
    """The same of a matrix of 2,000 cases."""
    with tempfile.TemporaryDirectory() as folder:
        return _command(matrix_scenario(), folder, 1)


def _command(scenario: str, folder: str, rounds: int) -> tuple[float, float]:
    path = Path(folder) / "one.vcpu.yaml"
    path.write_text(scenario)
    command = [sys.executable, "-m", "vcpu_scenario", "run", str(path), "--kernel", KERNEL]
    # As installed: with the modules compiled, which the first time does.
    env = {**os.environ, "PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
    times = []
    for _ in range(1 + rounds):
        start, cpu = perf_counter(), _cpu_of_commands()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=env)
        times.append((perf_counter() - start, _cpu_of_commands() - cpu))
    return median(wall for wall, _ in times[1:]), median(cpu for _, cpu in times[1:])


def _cpu_of_commands() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    rows: list[tuple[str, Callable[[], float], Callable[[], float], Callable[[], float]]] = [
        (
            "debug step",
            lambda: runs(machine(floor.STEP, stepping=True), COUNT),
            lambda: floor.step(COUNT),
            lambda: floor.alone(floor.STEP, COUNT, stepping=True),
        ),
        (
            "MMIO exit, read",
            lambda: runs(machine(floor.READ), COUNT),
            lambda: floor.access(floor.READ, COUNT),
            lambda: floor.alone(floor.READ, COUNT),
        ),
        (
            "MMIO exit, write",
            lambda: runs(machine(floor.WRITE), COUNT),
            lambda: floor.access(floor.WRITE, COUNT),
            lambda: floor.alone(floor.WRITE, COUNT),
        ),
        (
            "in-kernel write (ioeventfd)",
            lambda: handled(floor.WRITE, COUNT, bell=True),
            lambda: floor.access(floor.WRITE, COUNT),
            lambda: floor.alone(floor.WRITE, COUNT),
        ),
        (
            "hypercall in the kernel",
            lambda: handled(floor.HYPERCALL, COUNT),
            lambda: floor.trap(floor.HYPERCALL, COUNT),
            lambda: floor.alone(floor.HYPERCALL, COUNT),
        ),
        (
            "guest exception and return",
            lambda: exceptions(COUNT),
            lambda: floor.trap(floor.EXCEPTION, COUNT),
            lambda: floor.alone(floor.EXCEPTION, COUNT),
        ),
    ]
    print(f"kernel {KERNEL}, CPU time, median of {ROUNDS} rounds, machine and floor in turn")
    print(f"{'':30}{'machine us':>12}{'floor us':>12}{'ratio':>8}{'start alone us':>18}")
    for name, ours, bare, start in rows:
        rounds = [(ours(), bare(), start()) for _ in range(ROUNDS)]
        cost, least, alone = (median(column) * 1e6 for column in zip(*rounds, strict=True))
        ratio = median(a / b for a, b, _ in rounds)
        print(f"{name:30}{cost:12.2f}{least:12.2f}{ratio:8.2f}{alone:18.2f}")
    print_guest_code()
    print(f"{'whole cases, one core':30}{cases_per_second():12.0f} a second")
    print(f"{'cold start to the verdict':30}{_seconds(*cold_start())}")
    print(f"{'a matrix of 2,000 cases':30}{_seconds(*matrix())}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'peak memory':30}{peak:12.0f} MB")


def print_guest_code() -> None:
    """How fast the guest's own code runs, and how fast memory is mapped."""
    rounds = [(guestcode.machine(GUEST_COUNT), guestcode.bare(GUEST_COUNT)) for _ in range(ROUNDS)]
    speed = GUEST_COUNT / median(ours for ours, _ in rounds) / 1e6
    ratio = median(bare / ours for ours, bare in rounds)
    print(f"{'compiled guest code':30}{speed:12.0f} MIPS, {ratio:.2f} of Unicorn alone")
    print(f"{'128 MiB mapped at first touch':30}{guestcode.mapping():12.3f} s of CPU time")


def _seconds(wall: float, cpu: float) -> str:
    return f"{wall:12.3f} s, {cpu:.3f} s of CPU time"


if __name__ == "__main__":
    main()
