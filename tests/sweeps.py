"""``python -m tests.sweeps --lab 6.12``: all that is swept, on a real kernel that boots once.

``--lab 6.12+cortex-a76`` asks it on another host, where registers alone were recorded.

What it gives is compared with what was recorded, or kept with ``--record``. Ends with status 1
where there is a difference. Names after the options select sweeps.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final

from vcpu_scenario.kernels.release import parse_release
from vcpu_scenario.machine.real.lab import Lab
from vcpu_scenario.machine.real.lab.options import LabOptions
from vcpu_scenario.running.targets.real import booting

from tests.hypercalls import real as hypercalls
from tests.ioctls import real as ioctls
from tests.registers import real as registers
from tests.registers.onereg import SITUATIONS
from tests.vgic import real as vgic
from tests.words import real as words
from tests.words.recorded import record as record_words
from tests.words.surveys import sweeps as sweeps_of_words

CPU: Final = "cortex-a57"
_ONE_IOCTL_IN: Final = 20
_WORDS: Final = 4
"""Runs of random words, and one odd argument in so many, where it is to be quick."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a lab is asked, how that differs from what was recorded, and how it is kept."""

    ask: Callable[[Lab], Any]
    differing: Callable[[str, Any], Iterable[str]]
    record: Callable[[str, Any], None]


def sweeps(*, quick: bool = False, host: str = "") -> Mapping[str, Sweep]:
    """By name, for a lab that is ``host``. ``quick`` leaves out the most of what takes long."""
    situations = SITUATIONS[-2:] if quick else SITUATIONS
    ask_registers = partial(registers.ask, situations=situations)
    ask_ioctls = partial(ioctls.ask, one_in=_ONE_IOCTL_IN if quick else 1)
    ask_words = partial(words.ask, sweeps=islice(sweeps_of_words(), _WORDS if quick else None))
    return {
        "registers": Sweep(ask_registers, registers.differing, registers.record),
        "vgic": Sweep(partial(vgic.ask, host=host), vgic.differing, vgic.record),
        "hypercalls": Sweep(hypercalls.ask, hypercalls.differing, hypercalls.record),
        "ioctls": Sweep(ask_ioctls, ioctls.differing, ioctls.record),
        # What an instruction does is the CPU's matter, whichever kernel runs it.
        "words": Sweep(
            ask_words,
            lambda _, found: words.differing(CPU, found),
            lambda _, found: record_words(CPU, found),
        ),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps", description=__doc__)
    parser.add_argument("--lab", required=True, metavar="KERNEL", help="kernel to ask (6.12)")
    parser.add_argument("--quick", action="store_true", help="leave out the most of what is long")
    parser.add_argument("--qemu", default=LabOptions().qemu, help="QEMU's program")
    parser.add_argument("--record", action="store_true", help="keep what the kernel gives")
    parser.add_argument("only", nargs="*", choices=[*sweeps(), []], metavar="SWEEP")
    given = parser.parse_args()
    booted = parse_release(given.lab)
    every = sweeps(quick=given.quick, host=booted.host)
    count = 0
    options = booting(booted.host, LabOptions(cpu=CPU, qemu=given.qemu))
    with Lab(str(booted.on("")), options) as lab:
        for name in given.only or every:
            began = time.monotonic()
            found = every[name].ask(lab)
            took = time.monotonic() - began
            if given.record:
                every[name].record(given.lab, found)
                continue
            lines = list(every[name].differing(given.lab, found))
            print(*(f"{name}: {line}" for line in lines), sep="\n", end="\n" if lines else "")
            print(f"lab:{given.lab}: {name}: {len(lines)} differences, {took:.0f} s", flush=True)
            count += len(lines)
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
