"""Where cases are run: the emulated machine, this host's KVM, or a lab with a kernel of its own.

``emulated`` takes each case as the kernel it is for, ``emulated:6.12`` as that release;
``kvm`` is ``/dev/kvm`` of an arm64 host, ``lab:6.12`` a real kernel under QEMU, and
``lab:6.12+protected`` one on another host (:mod:`vcpu_scenario.kernels.hosts`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self, TypeAlias, TypeVar

from vcpu_scenario.arm64.cpumodels import CORTEX_A57
from vcpu_scenario.case import Case, HostInterrupt
from vcpu_scenario.course import Course, Recorded, Steps
from vcpu_scenario.kernels.hosts import cpu_of, host, modes_of
from vcpu_scenario.kernels.meant import kernels_meant
from vcpu_scenario.kernels.release import RangeError, parse_release
from vcpu_scenario.kernels.table import Kernel
from vcpu_scenario.machine.interface import (
    KvmError,
    Machine,
    NotModelled,
    Unsupported,
    is_of_enabling,
)
from vcpu_scenario.survey import Answers, Survey
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm import surveyor
from vcpu_scenario.vmm.loop import run_case
from vcpu_scenario.vmm.stepping import step_through

if TYPE_CHECKING:
    from vcpu_scenario.machine.real import lab
    from vcpu_scenario.machine.real.lab import Lab, LabOptions


@dataclass(frozen=True, slots=True)
class Skipped:
    """The machine cannot do what the case asks; ``reason`` says what."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The case took its VM, or the kernel, along; ``console`` is the end of what that printed."""

    reason: str
    console: str


_Given = TypeVar("_Given")

Found: TypeAlias = Trace | Skipped | Lost

Create: TypeAlias = Callable[[str], Machine]
"""Makes a machine that behaves as KVM of the release of that name."""


class BadTarget(ValueError):
    """No machine is called so; the message says which there are."""


class Target(Protocol):
    """A kind of machine; a context manager that leaves no process behind."""

    @property
    def name(self) -> str:
        """As the command line names it, ``lab:6.12``."""
        ...

    @property
    def kernel(self) -> str | None:
        """The release that it is; None where it is whatever a case is for."""
        ...

    @property
    def real(self) -> bool:
        """Whether it is KVM itself."""
        ...

    @property
    def itself(self) -> str:
        """What a real kernel says that it is, as ``uname -r`` does; empty for the emulated one."""
        ...

    def run(self, case: Case, kernel: str) -> Found:
        """What became of ``case``; ``kernel`` counts only where :attr:`kernel` is None."""
        ...

    def step(self, case: Case, kernel: str, vmm: str) -> Course | Skipped | Lost:
        """What a debugger is told that steps ``case`` through, as :meth:`run` otherwise."""
        ...

    def ask(self, survey: Survey) -> Answers | Skipped | Lost:
        """What a vCPU answers about its registers, on a machine with a kernel of its own."""
        ...

    @property
    def carries(self) -> Collection[str]:
        """The VMMs that it has itself, by the names of those that act on it."""
        ...

    def record(self, case: Case, vmm: str) -> Recorded | Skipped | Lost:
        """What a VMM that it :attr:`carries` tells a debugger that steps ``case`` through."""
        ...

    def has_rules(self, kernel: str) -> bool:
        """Whether what was run last behaved by the rules of ``kernel``, which can be taken away."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None: ...


def target(name: str, options: LabOptions | None = None) -> Target:
    """The machine called ``name``; ``options`` are those of a lab.

    Raises :class:`BadTarget`; for a lab :class:`~vcpu_scenario.machine.real.lab.LabError`, and for
    ``kvm`` :class:`~vcpu_scenario.machine.real.machine.NoKvmError` where the host has none.
    """
    kind, colon, release = name.partition(":")
    make = _KINDS.get(kind)
    if make is None or (colon and not release):
        raise BadTarget(f"no machine is called `{name}`; there are {KINDS}")
    return make(release, options)


KINDS: Final = "emulated, emulated:RELEASE, kvm and lab:RELEASE"


class _Target:
    name = ""
    kernel: str | None = None
    real = True
    carries: Collection[str] = ()

    @property
    def itself(self) -> str:
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def has_rules(self, kernel: str) -> bool:
        return False

    def record(self, case: Case, vmm: str) -> Recorded | Skipped | Lost:
        return Skipped(f"{self.name} carries no VMM; lab:RELEASE does")

    def close(self) -> None:
        """Stop everything that runs for it."""


class Made(_Target):
    """Machines that ``create`` makes, one for each case."""

    name = "emulated"
    real = False

    def __init__(self, create: Create) -> None:
        self._create = create
        self._last: object = None

    def run(self, case: Case, kernel: str) -> Found:
        return self._on_one(kernel, lambda machine: run_case(machine, case))

    def step(self, case: Case, kernel: str, vmm: str) -> Course | Skipped | Lost:
        return self._on_one(kernel, lambda machine: step_through(machine, case, vmm))

    def ask(self, survey: Survey) -> Answers | Skipped | Lost:
        try:
            return self._on_one(self.kernel or "", lambda machine: surveyor.do(machine, survey))
        except NotModelled as limit:
            return Skipped(str(limit))

    def _on_one(self, kernel: str, use: Callable[[Machine], _Given]) -> _Given | Skipped:
        try:
            machine = self._create(kernel)
            self._last = getattr(machine, "kernel", None)
            try:
                return use(machine)
            finally:
                machine.close()
        except Unsupported as reason:
            return Skipped(str(reason))

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


class Kvm(_Target):
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
        return _on_this_host(case, lambda machine: run_case(machine, case))

    def step(self, case: Case, kernel: str, vmm: str) -> Course | Skipped | Lost:
        return _on_this_host(case, lambda machine: step_through(machine, case, vmm))

    def ask(self, survey: Survey) -> Answers | Skipped | Lost:
        return _on_this_host(survey.case, lambda machine: surveyor.do(machine, survey))


def _on_this_host(case: Case, use: Callable[[Machine], _Given]) -> _Given | Skipped | Lost:
    from vcpu_scenario.machine.real.machine import RealMachine

    if reason := beyond_real_kvm(case):
        return Skipped(reason)
    try:
        with RealMachine() as machine:
            return use(machine)
    except Unsupported as unsupported:
        return Skipped(str(unsupported))
    except KvmError as error:
        return Lost(f"the VM failed: {error}", "")


def _release_of(uname: str) -> str:
    numbers = uname.partition("-")[0].split(".")[:2]
    return ".".join("".join(filter(str.isdigit, number)) for number in numbers)


class InLab(_Target):
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
        return _of_lab(self._lab.step(Steps(case, vmm)))

    def ask(self, survey: Survey) -> Answers | Skipped | Lost:
        return _of_lab(self._lab.ask(survey))

    def record(self, case: Case, vmm: str) -> Recorded | Skipped | Lost:
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


def _of_lab(found: _Given | lab.Skipped | lab.Lost) -> _Given | Skipped | Lost:
    from vcpu_scenario.machine.real import lab

    if isinstance(found, lab.Skipped):
        return Skipped(found.reason)
    if isinstance(found, lab.Lost):
        return Lost(found.reason, found.console)
    return found


def beyond_real_kvm(case: Case) -> str:
    """Why no real KVM can run ``case``; empty where one can."""
    if any(isinstance(action, HostInterrupt) for action in case.all_actions()):
        return "host_interrupt: real KVM takes interrupts of its host when they come"
    if case.quantum is not None:
        return "quantum: real KVM counts no instructions"
    return ""


def lacks_capability(case: Case, found: Trace) -> bool:
    """Whether the kernel refused ``case`` only because it lacks a capability that it asks for."""
    return bool(case.caps) and found.error is not None and is_of_enabling(found.error)


_Make: TypeAlias = "Callable[[str, LabOptions | None], Target]"


def _kvm(release: str, options: LabOptions | None) -> Target:
    if release:
        raise BadTarget("`kvm` is the kernel that runs here; lab:RELEASE is another one")
    return Kvm()


_KINDS: Final[dict[str, _Make]] = {
    "emulated": lambda release, lab: Emulated(release, lab.cpu) if lab else Emulated(release),
    "kvm": _kvm,
    "lab": InLab,
}
