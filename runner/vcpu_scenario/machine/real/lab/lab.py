"""A lab: cases in, what real KVM did out. Guests boot when first needed and again when lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.case import Case
from vcpu_scenario.course import Course, Recorded, Steps
from vcpu_scenario.machine.real.errors import BootError
from vcpu_scenario.machine.real.lab import carried, kernels, userland
from vcpu_scenario.machine.real.lab.apt import Progress, announce
from vcpu_scenario.machine.real.lab.guest import Guest, Skipped
from vcpu_scenario.machine.real.lab.initramfs import initramfs
from vcpu_scenario.machine.real.lab.kinds import Kind, gic_for, kind_for
from vcpu_scenario.machine.real.lab.options import LabOptions
from vcpu_scenario.machine.real.lab.qemu import GicVersion, GuestGoneError, Qemu, find_qemu
from vcpu_scenario.machine.real.program import Ended, Program
from vcpu_scenario.survey import Answers, Survey
from vcpu_scenario.trace import Trace


class Lost(Struct, frozen=True):
    """The case took its VM, or the whole kernel, along; ``console`` is the end of what the kernel
    printed."""

    reason: str
    console: str


_BOOTS: Final = 3
"""How often in a row a kernel that came up before may fail to come up again."""

_WITH_A_VMM: Final = 1024
"""MiB of memory of a guest that carries a VMM, which is in it twice while it boots."""

_Given = TypeVar("_Given")
"""What a guest gives back where all goes well."""

Result: TypeAlias = Trace | Skipped | Lost

_DEFAULT: Final = LabOptions()


def run_cases(
    kernel: str,
    cases: Iterable[Case],
    options: LabOptions = _DEFAULT,
    progress: Progress = announce,
) -> list[Result]:
    """What the real KVM of ``kernel`` did with each case, in order; see :class:`Lab`."""
    with Lab(kernel, options, progress) as lab:
        return list(lab.run_all(cases))


def boot(kernel: str, options: LabOptions = _DEFAULT, progress: Progress = announce) -> Lab:
    """A :class:`Lab` whose guest is up, so that what keeps it from booting shows here."""
    lab = Lab(kernel, options, progress)
    lab.release()
    return lab


class Lab:
    """The real KVM of one kernel, for any number of cases. Use as a context manager.

    ``kernel`` is a name that :func:`kernels.fetch` takes; it is fetched if it is not kept. A case
    with a GICv2 runs in a guest that has one, all others in one with a GICv3. A guest ends with
    the thread that booted it, if :meth:`close` does not end it before. A case that takes its
    guest along is :class:`Lost`, and the next one has a guest of its own.

    Raises :class:`LabUnavailableError` where QEMU or a package is not available,
    :class:`BootError` where the kernel does not come up for the first time, :class:`LabError` for
    the rest.
    """

    def __init__(
        self, kernel: str, options: LabOptions = _DEFAULT, progress: Progress = announce
    ) -> None:
        self.kernel = kernel
        self._options = options
        find_qemu(options.qemu)
        if options.kernel_image is not None:
            self._image = options.kernel_image
        else:
            self._image = kernels.fetch(kernel, options.mirror, progress=progress).image
        self._progress = progress
        self._base = options.initrd or userland.archive(options.mirror, progress=progress)
        self._initrds: dict[str, bytes] = {"": initramfs(self._base)}
        self._guests: dict[Kind, Guest] = {}
        self._came_up: set[Kind] = set()
        self._failed: dict[Kind, list[BootError]] = {}

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run_all(self, cases: Iterable[Case]) -> Iterator[Result]:
        """The results in the order of the cases, each as soon as it is there."""
        return map(self.run, cases)

    def run(self, case: Case) -> Result:
        kind = kind_for(case)
        try:
            return self._with_guest(kind, lambda guest: guest.run(case))
        finally:
            if kind.sets_cycles:
                self._forget(kind)

    def ask(self, survey: Survey) -> Answers | Skipped | Lost:
        """What the kernel answered; a survey may lose its guest as a case may."""
        return self._with_guest(Kind(gic_for(survey.case)), lambda guest: guest.ask(survey))

    def step(self, steps: Steps) -> Course | Skipped | Lost:
        """What a debugger was told; see :func:`vcpu_scenario.vmm.stepping.step_through`."""
        return self._with_guest(Kind(gic_for(steps.case)), lambda guest: guest.step(steps))

    def record(self, steps: Steps) -> Recorded | Skipped | Lost:
        """What the real VMM of that name, one of :data:`carried.CARRIED`, tells a debugger; its
        packages are fetched if they are not kept. The case has to be what
        :func:`vcpu_scenario.vmm.carried.virt.beyond` has nothing against."""
        kind = Kind(gic_for(steps.case), steps.vmm)
        return self._with_guest(kind, lambda guest: guest.record(steps))

    def execute(self, program: Program, gic: GicVersion = 3) -> Ended | Skipped | Lost:
        """How ``program`` ended in a guest with this GIC; it may take its guest along."""
        return self._with_guest(Kind(gic), lambda guest: guest.execute(program))

    def _with_guest(self, kind: Kind, use: Callable[[Guest], _Given]) -> _Given | Skipped | Lost:
        try:
            guest = self._guest_again(kind)
        except BootError as error:
            if not self._came_up:
                raise  # then no case will fare better, and nothing has been done yet
            again = " again" if kind in self._came_up else f" with a GICv{kind.gic}"
            return Lost(f"it did not come up{again}: {error.reason}", error.console)
        try:
            return use(guest)
        except GuestGoneError as gone:
            console = guest.console
            self._forget(kind)
            return Lost(str(gone), console)
        except BaseException:
            self._forget(kind)  # it may still be at work on the case
            raise

    def release(self, gic: GicVersion = 3) -> str:
        """``uname -r`` of the booted kernel, which every guest is of."""
        guest = next(iter(self._guests.values()), None) or self._guest(Kind(gic))
        return guest.release

    def close(self) -> None:
        for kind in tuple(self._guests):
            self._forget(kind)

    def _guest_again(self, kind: Kind) -> Guest:
        """The guest; one that has failed to boot several times is not waited for again."""
        failed = self._failed.setdefault(kind, [])
        if len(failed) >= _BOOTS:
            raise failed[-1]
        try:
            guest = self._guest(kind)
        except BootError as error:
            failed.append(error)
            raise
        failed.clear()
        self._came_up.add(kind)
        return guest

    def _guest(self, kind: Kind) -> Guest:
        if kind not in self._guests:
            initrd, options = self._initrd(kind.vmm), self._options
            if kind.vmm:
                options = replace(options, memory=max(options.memory, _WITH_A_VMM))
            self._guests[kind] = Guest(Qemu(self._image, initrd, kind.gic, options), options)
        return self._guests[kind]

    def _initrd(self, vmm: str) -> bytes:
        if vmm not in self._initrds:
            mirror, progress = self._options.mirror, self._progress
            carries = carried.archive(vmm, mirror, progress=progress)
            self._initrds[vmm] = initramfs(self._base, carries)
        return self._initrds[vmm]

    def _forget(self, kind: Kind) -> None:
        if (guest := self._guests.pop(kind, None)) is not None:
            guest.close()
