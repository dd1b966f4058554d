"""KVM itself: this host's, or that of a real kernel under QEMU."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from vcpu_scenario.arm64.cpumodels import CORTEX_A57
from vcpu_scenario.case import Case, HostInterrupt
from vcpu_scenario.kernels.hosts import cpu_of, modes_of
from vcpu_scenario.kernels.meant import kernels_meant
from vcpu_scenario.kernels.release import RangeError, parse_release
from vcpu_scenario.machine.errors import KvmError, Unsupported, is_of_enabling
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.running.targets.target import BadTarget, Closing, Found, Lost, Skipped, skipped
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.loop import run_case

if TYPE_CHECKING:
    from vcpu_scenario.course import Course, Recorded
    from vcpu_scenario.machine.real import lab
    from vcpu_scenario.machine.real.lab import Lab, LabOptions
    from vcpu_scenario.survey import Answers, Survey

Given = TypeVar("Given")


def beyond_real_kvm(case: Case) -> str:
    """Why no real KVM can run ``case``; empty where one can."""
    if any(isinstance(action, HostInterrupt) for action in case.all_actions()):
        return "host_interrupt: real KVM takes interrupts of its host when they come"
    return ""


def lacks_capability(case: Case, found: Trace) -> bool:
    """Whether the kernel refused ``case`` only because it lacks a capability that it asks for."""
    return bool(case.caps) and found.error is not None and is_of_enabling(found.error)


class Kvm(Closing):
    """``/dev/kvm`` of this host."""

    name = "kvm"

    def __init__(self) -> None:
        from vcpu_scenario.machine.real.machine import RealMachine

        RealMachine().close()
        self.kernel = _release_of(os.uname().release)

    @property
    def itself(self) -> str:
        return os.uname().release

    def run(self, case: Case, kernel: str) -> Found:
        return _on_this_host(case, lambda machine: run_case(machine, case, self.watch))

    def step(self, case: Case, kernel: str, vmm: str) -> Course | Skipped | Lost:
        from vcpu_scenario.vmm.stepping import step_through

        return _on_this_host(case, lambda machine: step_through(machine, case, vmm))

    def ask(self, survey: Survey) -> Answers | Skipped | Lost:
        from vcpu_scenario.vmm import surveyor

        return _on_this_host(survey.case, lambda machine: surveyor.do(machine, survey))


def _on_this_host(case: Case, use: Callable[[Machine], Given]) -> Given | Skipped | Lost:
    from vcpu_scenario.machine.real.machine import RealMachine

    if beyond := beyond_real_kvm(case):
        return Skipped(beyond)
    try:
        with RealMachine() as machine:
            return use(machine)
    except Unsupported as reason:
        return skipped(reason)
    except KvmError as error:
        return Lost(f"the VM failed: {error}", "")


def _release_of(uname: str) -> str:
    numbers = uname.partition("-")[0].split(".")[:2]
    return ".".join("".join(filter(str.isdigit, number)) for number in numbers)


class InLab(Closing):
    """A real kernel under QEMU; see :class:`vcpu_scenario.machine.real.lab.Lab`.

    What it needs is fetched when it is made, and its guest boots with the first case. A process
    that is forked from this one before that has a guest of its own.
    """

    def __init__(self, release: str, options: LabOptions | None = None) -> None:
        from vcpu_scenario.machine.real.lab import Lab, LabOptions
        from vcpu_scenario.machine.real.lab.carried import CARRIED

        try:
            booted = parse_release(release)
        except RangeError as error:
            meant = kernels_meant(release) or "say which kernel, lab:6.12 or lab:6.12.107"
            raise BadTarget(f"`lab:{release}`: {error}; {meant}") from None
        self.name = f"lab:{booted}"
        self.kernel = str(booted)
        self.carries = tuple(CARRIED)
        self._lab: Lab = Lab(str(booted.on("")), booting(booted.host, options or LabOptions()))

    @property
    def itself(self) -> str:
        return self._lab.release()

    def run(self, case: Case, kernel: str) -> Found:
        if reason := beyond_real_kvm(case):
            return Skipped(reason)
        return _of_lab(self._lab.run(case))

    def step(self, case: Case, kernel: str, vmm: str) -> Course | Skipped | Lost:
        if reason := beyond_real_kvm(case):
            return Skipped(reason)
        from vcpu_scenario.course import Steps

        return _of_lab(self._lab.step(Steps(case, vmm)))

    def ask(self, survey: Survey) -> Answers | Skipped | Lost:
        return _of_lab(self._lab.ask(survey))

    def record(self, case: Case, vmm: str) -> Recorded | Skipped | Lost:
        from vcpu_scenario.course import Steps
        from vcpu_scenario.vmm.carried.virt import beyond

        if reason := beyond(case):
            return Skipped(reason)
        return _of_lab(self._lab.record(Steps(case, vmm)))

    def close(self) -> None:
        self._lab.close()


def booting(at: str, options: LabOptions) -> LabOptions:
    """``options`` of a lab that is the host ``at``."""
    if not at:
        return options
    append = " ".join((options.append, *(mode.parameters for mode in modes_of(at)))).strip()
    cpu = options.cpu if cpu_of(at) is CORTEX_A57 else cpu_of(at).name
    return replace(options, append=append, cpu=cpu)


def _of_lab(found: Given | lab.Skipped | lab.Lost) -> Given | Skipped | Lost:
    from vcpu_scenario.machine.real import lab

    if isinstance(found, lab.Skipped):
        return Skipped(found.reason, found.so_far)
    if isinstance(found, lab.Lost):
        return Lost(found.reason, found.console)
    return found
