"""The emulated machine, as the kernel that a case is for or as one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from vcpu_scenario.arm64.cpumodels import CORTEX_A57
from vcpu_scenario.case import Case
from vcpu_scenario.kernels.hosts import cpu_of, host
from vcpu_scenario.kernels.meant import kernels_meant
from vcpu_scenario.kernels.release import parse_release
from vcpu_scenario.kernels.table import Kernel
from vcpu_scenario.machine.errors import NotModelled, NotSeenThere, Unsupported
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.running.targets.target import (
    BadTarget,
    Closing,
    Create,
    Found,
    Lost,
    Skipped,
    skipped,
)
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.loop import run_case

if TYPE_CHECKING:
    from vcpu_scenario.course import Course
    from vcpu_scenario.survey import Answers, Survey

Given = TypeVar("Given")


class Made(Closing):
    """Machines that ``create`` makes, one for each case."""

    name = "emulated"
    real = False

    def __init__(self, create: Create) -> None:
        self._create = create
        self._last: object = None

    def run(self, case: Case, kernel: str) -> Found:
        try:
            return self._on_one(kernel, lambda machine: run_case(machine, case, self.watch))
        except NotSeenThere as limit:
            return Trace.never_begun(limit.what)

    def step(self, case: Case, kernel: str, vmm: str) -> Course | Skipped | Lost:
        from vcpu_scenario.course import Course, End
        from vcpu_scenario.vmm.stepping import step_through

        try:
            return self._on_one(kernel, lambda machine: step_through(machine, case, vmm))
        except NotSeenThere as limit:
            return Course((), End.NOT_MODELLED, limit.what)

    def ask(self, survey: Survey) -> Answers | Skipped | Lost:
        from vcpu_scenario.vmm import surveyor

        try:
            return self._on_one(self.kernel or "", lambda machine: surveyor.do(machine, survey))
        except (NotModelled, NotSeenThere) as limit:
            return Skipped(str(limit))

    def _on_one(self, kernel: str, use: Callable[[Machine], Given]) -> Given | Skipped:
        try:
            machine = self._create(kernel)
            self._last = getattr(machine, "kernel", None)
            with closing(machine):
                return use(machine)
        except NotSeenThere:
            raise
        except Unsupported as reason:
            return skipped(reason)

    def has_rules(self, kernel: str) -> bool:
        return isinstance(self._last, Kernel) and self._last.name == kernel


class Emulated(Made):
    """The emulated machine."""

    def __init__(self, release: str = "", cpu: str = CORTEX_A57.name) -> None:
        """``cpu`` is the CPU of a host that names none. Raises
        :class:`~vcpu_scenario.kernels.hosts.UnknownHost` where none is called so."""
        from vcpu_scenario.kernels.table import UnknownKernel
        from vcpu_scenario.kernels.table import kernel as known
        from vcpu_scenario.machine.emulated.machine import create

        host([cpu])
        super().__init__(lambda kernel: create(_with_cpu(release or kernel, cpu)))
        self.name = f"emulated:{release}" if release else "emulated"
        self.kernel = release or None
        try:
            if release:
                known(release)
        except UnknownKernel as error:
            raise BadTarget(
                f"`{self.name}`: {error}; {kernels_meant(release)}".removesuffix("; ")
            ) from None


def _with_cpu(name: str, cpu: str) -> str:
    if cpu == CORTEX_A57.name:
        return name
    release = parse_release(name)
    own = cpu_of(release.host) is not CORTEX_A57
    return name if own else str(release.on(host([cpu, *filter(None, [release.host])])))
