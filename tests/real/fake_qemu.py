"""Stands in for QEMU: takes the same arguments and plays a guest as its last argument says."""

from __future__ import annotations

import json
import mmap
import os
import re
import signal
import sys
import time
from collections.abc import Callable

from vcpu_scenario.course import Course, End, Recorded
from vcpu_scenario.interchange.cases import load_case
from vcpu_scenario.interchange.courses import dump_course, dump_recorded, load_steps
from vcpu_scenario.interchange.traces import dump_trace
from vcpu_scenario.machine.real.mailbox import SIZE, Mailbox
from vcpu_scenario.machine.real.program import Ended, Program, dump_ended, load_program
from vcpu_scenario.trace import Trace


def main() -> None:
    arguments = sys.argv[1:]
    behave, *parameters = arguments[-1].split(":")
    memory = next(word for word in arguments if word.startswith("memory-backend-file"))
    console = arguments[arguments.index("-serial") + 1].removeprefix("file:")
    with open(console, "w") as out:
        out.write("[    0.000000] Booting Linux\r\n")
    shared = re.search(r"mem-path=(\S+?),", memory)
    assert shared
    fd = os.open(shared[1], os.O_RDWR)
    box = Mailbox(mmap.mmap(fd, SIZE), host=False)
    PLAYS[behave](box, console, *parameters)


def complains(box: Mailbox, console: str) -> None:
    os.truncate(console, 0)
    sys.exit("qemu: could not load kernel")


def silent(box: Mailbox, console: str) -> None:
    os.truncate(console, 0)
    time.sleep(600)


def panics(box: Mailbox, console: str) -> None:
    with open(console, "a") as out:
        out.write("Kernel panic - not syncing: No working init found.\r\n")


def has_no_kvm(box: Mailbox, console: str) -> None:
    box.send("failed", "no KVM to offer: cannot open /dev/kvm")
    time.sleep(600)


def works(box: Mailbox, console: str, log: str) -> None:
    """Answers with a trace whose ``refused`` tells how it was booted; some exit limits are special:
    101 panics, 102 hangs, 103 skips, 104 is a failure of the VM's, 105 babbles, 106 is killed, 107
    fails an assertion, 108 lacks something on the way."""
    with open(log, "a") as out:
        gic = next(word for word in sys.argv if "gic-version" in word)
        out.write(json.dumps({"pid": os.getpid(), "gic": gic[-1], "arguments": sys.argv}) + "\n")
    box.send("ready", "6.12.0-fake")
    while True:
        while (message := box.receive()) is None:
            time.sleep(0.001)
        if message[0] == "program":
            box.send("ended", dump_ended(pretended(load_program(message[1]), gic[-1])))
            continue
        if message[0] == "steps":
            steps = load_steps(message[1])
            box.send("course", dump_course(Course((), End.OFF, f"{steps.vmm} on GICv{gic[-1]}")))
            continue
        if message[0] == "session":
            box.send("recorded", dump_recorded(recorded(load_steps(message[1]).vmm)))
            continue
        case = load_case(message[1])
        special = SPECIAL.get(case.limits.exits)
        if special is not None:
            special(box, console)
        else:
            box.send("trace", dump_trace(Trace(refused=f"gic {gic[-1]}, {case.limits.exits}")))


def recorded(vmm: str) -> Recorded:
    """A session without a step."""
    course = Course((), End.OFF, f"{vmm} itself")
    return Recorded(vmm, "1.2.3", (("?", "T05"), ("s", None)), ((1, 4, 5, {"x0": 6}),), "Q", course)


def pretended(program: Program, gic: str) -> Ended:
    """It ends with the status that its data begins with, and writes what it was told."""
    status, _, text = program.data.decode().partition(" ")
    return Ended(int(status), f"{program.name} on GICv{gic}: {text}\n")


def dies(box: Mailbox, console: str) -> None:
    with open(console, "a") as out:
        out.write("Kernel panic - not syncing: Oops\r\n")
    sys.exit(0)


def hangs(box: Mailbox, console: str) -> None:
    time.sleep(600)


def skips(box: Mailbox, console: str) -> None:
    box.send("skip", "not on real KVM")


def lacks(box: Mailbox, console: str) -> None:
    box.send("skip", "no such ioctl\n" + dump_trace(Trace(refused="so far")))


def fails(box: Mailbox, console: str) -> None:
    box.send(
        "failed",
        "Traceback (most recent call last):\n"
        "vcpu_scenario.machine.errors.KvmError: KVM_GET_ONE_REG: Input/output error",
    )
    time.sleep(600)  # what comes next is for another guest


def babbles(box: Mailbox, console: str) -> None:
    box.send("trace", '{"_": "Trace", "surprise": 1}')
    time.sleep(600)


def is_killed(box: Mailbox, console: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def asserts(box: Mailbox, console: str) -> None:
    sys.exit("qemu: Assertion `bpr > 0' failed.")


SPECIAL: dict[int, Callable[[Mailbox, str], None]] = {
    101: dies,
    102: hangs,
    103: skips,
    104: fails,
    105: babbles,
    106: is_killed,
    107: asserts,
    108: lacks,
}
PLAYS: dict[str, Callable[..., None]] = {
    play.__name__: play for play in (complains, silent, panics, has_no_kvm, works)
}

if __name__ == "__main__":
    main()
