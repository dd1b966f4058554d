"""``--machine`` and the options of a lab: from the command line to a machine."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vcpu_scenario.cli.status import NoMachine
from vcpu_scenario.errors import UsageError

if TYPE_CHECKING:
    from vcpu_scenario.machine.real.lab import LabOptions
    from vcpu_scenario.running.target import Target


@dataclass(frozen=True, slots=True)
class LabArguments:
    """What ``--kernel-image``, ``--initrd``, ``--lab`` and ``--cpu`` say."""

    kernel_image: str | None = None
    initrd: str | None = None
    settings: tuple[str, ...] = ()
    cpu: str | None = None
    """What ``--cpu`` says, which any machine but ``kvm`` can have."""

    def options(self) -> LabOptions:
        """Raises :class:`UsageError` for what no lab has."""
        from vcpu_scenario.machine.real.lab import LabOptions

        given: dict[str, Any] = dict(map(_setting, self.settings))
        if self.cpu is not None:
            given["cpu"] = self.cpu
        for name in ("kernel_image", "initrd"):
            value = getattr(self, name)
            if value is not None:
                given[name] = _file(name, value)
        return dataclasses.replace(LabOptions(), **given)


NO_LAB: Final = LabArguments()

_SETTINGS: Final[dict[str, type]] = {
    "cpu": str,
    "memory": int,
    "qemu": str,
    "append": str,
    "mirror": str,
    "boot_seconds": float,
    "case_seconds": float,
    "nice": int,
}


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    name = name.replace("-", "_")
    kind = _SETTINGS.get(name)
    if kind is None or not equals:
        raise UsageError(f"--lab: `{text}`: expected NAME=VALUE with one of {_names()}")
    try:
        return name, kind(value)
    except ValueError:
        raise UsageError(f"--lab: {name}: `{value}` is no number") from None


def _names() -> str:
    return ", ".join(_SETTINGS)


def _file(name: str, value: str) -> Path:
    path = Path(value)
    if not path.is_file():
        raise UsageError(f"--{name.replace('_', '-')}: no such file: {value}")
    return path.resolve()


def machine(
    name: str, lab: LabArguments = NO_LAB, *, option: str = "--machine", beside_lab: bool = False
) -> Target:
    """The machine called ``name``. Raises :class:`UsageError` or :class:`NoMachine`.

    An emulated machine ``beside_lab`` calls its CPU as the lab does.
    """
    kind = name.partition(":")[0]
    if kind == "emulated" and replace(lab, cpu=None) != NO_LAB and not beside_lab:
        raise UsageError(f"{option}: {name} is no lab; its options are for lab:RELEASE")
    if kind == "kvm" and lab.cpu is not None:
        raise UsageError("--cpu: kvm runs on the CPU of this host")
    from vcpu_scenario.arm64.cpumodels import UnknownCpu
    from vcpu_scenario.running.target import BadTarget, target

    options = None if lab == NO_LAB else lab.options()
    try:
        with failing():
            return target(name, options)
    except UnknownCpu as error:
        raise UsageError(f"{'--lab: cpu' if lab.cpu is None else '--cpu'}: {error}") from None
    except BadTarget as error:
        raise UsageError(f"{option}: {error}") from None


@contextlib.contextmanager
def failing() -> Iterator[None]:
    """Tells of a real machine that is not to be had, or fails, in the command line's errors."""
    from vcpu_scenario.machine.real.lab.errors import LabError, LabUnavailableError
    from vcpu_scenario.machine.real.machine import NoKvmError

    try:
        yield
    except NoKvmError as error:
        raise UsageError(f"{error}; `--machine lab:6.12` boots a kernel that has it") from None
    except LabUnavailableError as error:
        raise UsageError(str(error)) from None
    except LabError as error:
        raise NoMachine(str(error)) from None


def kernels_for(target: Target, named: Sequence[str]) -> tuple[str, ...]:
    """The kernels to select cases by. Raises :class:`UsageError` where that is no choice."""
    if target.kernel is None:
        return tuple(named)
    if named and tuple(named) != (target.kernel,):
        raise UsageError(f"--kernel: {target.name} is {target.kernel}, and no other")
    return (target.kernel,)
