"""The first process of a lab's guest: takes cases from a mailbox, runs them, sends traces back.

It does so with surveys and programs as well.

Runs as ``init`` from an initramfs with the standard library, records, and that part of this project
which needs no more: it mounts what it needs itself and powers the guest off when told to quit.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import sys
import time
import traceback
from typing import Final

from vcpu_scenario.interchange.cases import load_case
from vcpu_scenario.interchange.courses import dump_course, dump_recorded, load_steps
from vcpu_scenario.interchange.surveys import dump_answers, load_survey
from vcpu_scenario.interchange.traces import dump_trace
from vcpu_scenario.machine.errors import KvmError, Unsupported
from vcpu_scenario.machine.real import mailbox, program
from vcpu_scenario.machine.real.errors import NoKvmError
from vcpu_scenario.machine.real.machine import RealMachine
from vcpu_scenario.vmm import surveyor
from vcpu_scenario.vmm.loop import run_case
from vcpu_scenario.vmm.recorder import Lacked
from vcpu_scenario.vmm.stepping import step_through

_DEVICES: Final = "/sys/bus/pci/devices"
_HUGE_PAGES: Final = "/sys/kernel/mm/transparent_hugepage/enabled"
_IVSHMEM: Final = ("0x1af4", "0x1110")
"""PCI vendor and device (QEMU's ``docs/specs/ivshmem-spec``); its BAR 2 is the memory."""

_POWER_OFF: Final = 0x4321FEDC
_QUICK: Final = 0.0002
_SLOW: Final = 0.01
"""Seconds between two looks into the mailbox: at first, and after a long wait."""


def main() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for kind, target in (("devtmpfs", "/dev"), ("sysfs", "/sys"), ("proc", "/proc")):
        _mount(libc, kind, target)
    _allow_huge_pages()
    box = mailbox.Mailbox(_shared_memory(), host=False)
    box.send(*_readiness())
    while True:
        word, text = _wait(box)
        if word == mailbox.QUIT:
            break
        box.send(*_answer(word, text))
    libc.reboot(_POWER_OFF)


def _mount(libc: ctypes.CDLL, kind: str, target: str) -> None:
    os.makedirs(target, exist_ok=True)
    encoded = kind.encode()
    if libc.mount(encoded, target.encode(), encoded, 0, None):
        print(f"mount {target}: {os.strerror(ctypes.get_errno())}", file=sys.stderr)


def _allow_huge_pages() -> None:
    """A kernel of less than 512 MiB does not use them until it is told to."""
    with contextlib.suppress(OSError), open(_HUGE_PAGES, "w") as enabled:
        enabled.write("madvise")


def _shared_memory() -> mmap.mmap:
    for name in os.listdir(_DEVICES):
        device = f"{_DEVICES}/{name}"
        if (_read(f"{device}/vendor"), _read(f"{device}/device")) == _IVSHMEM:
            with open(f"{device}/enable", "w") as enable:
                enable.write("1")
            # The write-combining view: on arm64 normal memory, where any access is allowed.
            fd = os.open(f"{device}/resource2_wc", os.O_RDWR)
            return mmap.mmap(fd, mailbox.SIZE)
    raise OSError("this machine has no ivshmem device to talk over")


def _read(path: str) -> str:
    with open(path) as file:
        return file.read().strip()


def _wait(box: mailbox.Mailbox) -> tuple[str, str]:
    pause = _QUICK
    while (message := box.receive()) is None:
        time.sleep(pause)
        pause = min(pause * 1.1, _SLOW)
    return message


def _readiness() -> tuple[str, str]:
    try:
        RealMachine().close()
    except (NoKvmError, KvmError) as error:
        return mailbox.FAILED, f"no KVM to offer: {error}"
    return mailbox.READY, os.uname().release


def _answer(word: str, line: str) -> tuple[str, str]:
    try:
        return _ANSWER[word](line)
    except Lacked as reason:
        return mailbox.SKIP, f"{reason}\n{dump_trace(reason.so_far)}"
    except Unsupported as reason:
        return mailbox.SKIP, str(reason)
    except Exception:
        return mailbox.FAILED, traceback.format_exc()


def _run(line: str) -> tuple[str, str]:
    case = load_case(line)
    with RealMachine() as machine:
        return mailbox.TRACE, dump_trace(run_case(machine, case))


def _survey(line: str) -> tuple[str, str]:
    survey = load_survey(line)
    with RealMachine() as machine:
        return mailbox.ANSWERS, dump_answers(surveyor.do(machine, survey))


def _program(line: str) -> tuple[str, str]:
    return mailbox.ENDED, program.dump_ended(program.run(program.load_program(line)))


def _steps(line: str) -> tuple[str, str]:
    steps = load_steps(line)
    with RealMachine() as machine:
        return mailbox.COURSE, dump_course(step_through(machine, steps.case, steps.vmm))


def _session(line: str) -> tuple[str, str]:
    # Here, since most guests carry no VMM.
    from vcpu_scenario.vmm.carried.session import record

    return mailbox.RECORDED, dump_recorded(record(*load_steps(line)))


_ANSWER: Final = {
    mailbox.CASE: _run,
    mailbox.SURVEY: _survey,
    mailbox.PROGRAM: _program,
    mailbox.STEPS: _steps,
    mailbox.SESSION: _session,
}


if __name__ == "__main__":
    main()
