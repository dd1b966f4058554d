"""``--machine`` and the options of a lab: from the command line to a machine."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.cli.arguments import option
from vcpu_scenario.cli.status import NoMachine
from vcpu_scenario.errors import UsageError

if TYPE_CHECKING:
    from vcpu_scenario.machine.real.lab import LabOptions
    from vcpu_scenario.running.select import Selection
    from vcpu_scenario.running.targets import Target


class LabArguments(Struct, frozen=True):
    """What ``--kernel-image``, ``--initrd`` and ``--lab`` say."""

    kernel_image: Annotated[
        str | None, option("--kernel-image FILE", "Boot this kernel in the lab, not Debian's.")
    ] = None
    initrd: Annotated[
        str | None, option("--initrd FILE", "Boot this initramfs, which must have python3.")
    ] = None
    settings: Annotated[
        list[str] | None,
        option(
            "--lab NAME=VALUE",
            "Set an option of the lab: cpu, memory, qemu, append, mirror, boot_seconds,"
            " case_seconds, nice or icount. Repeatable.",
        ),
    ] = None

    def options(self) -> "LabOptions":
        """Raises :class:`UsageError` for what no lab has."""
        from vcpu_scenario.machine.real.lab import LabOptions

        given: dict[str, Any] = dict(map(_setting, self.settings or ()))
        for name in ("kernel_image", "initrd"):
            value = getattr(self, name)
            if value is not None:
                given[name] = _file(name, value)
        return replace(LabOptions(), **given)


NO_LAB: Final = LabArguments()


_SETTINGS: Final[dict[str, Callable[[str], Any]]] = {
    "cpu": str,
    "memory": int,
    "qemu": str,
    "append": str,
    "mirror": str,
    "boot_seconds": float,
    "case_seconds": float,
    "nice": int,
    "icount": lambda value: None if value == "off" else int(value),
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
    name: str,
    lab: LabArguments = NO_LAB,
    hosts: Sequence[str] = (),
    *,
    option: str = "--machine",
    beside_lab: bool = False,
) -> "Target":
    """The machine called ``name``, on the host that is asked for. Raises :class:`UsageError` or
    :class:`NoMachine`.

    An emulated machine ``beside_lab`` calls its CPU as the lab does.
    """
    kind = name.partition(":")[0]
    if kind == "emulated" and lab != NO_LAB and not beside_lab:
        raise UsageError(f"{option}: {name} is no lab; its options are for lab:RELEASE")
    name = on_host(name, hosts)
    from vcpu_scenario.kernels.hosts import UnknownHost
    from vcpu_scenario.running.targets import BadTarget, target

    options = None if lab == NO_LAB else lab.options()
    try:
        with failing():
            return target(name, options)
    except UnknownHost as error:
        raise UsageError(f"--lab: cpu: {error}; there are {error.expected}") from None
    except BadTarget as error:
        raise UsageError(f"{option}: {error}") from None


@contextlib.contextmanager
def failing() -> Iterator[None]:
    """Tells of a real machine that is not to be had, or fails, in the command line's errors."""
    from vcpu_scenario.machine.real.errors import LabError, LabUnavailableError, NoKvmError

    try:
        yield
    except NoKvmError as error:
        raise UsageError(f"{error}; `--machine lab:6.12` boots a kernel that has it") from None
    except LabUnavailableError as error:
        raise UsageError(str(error)) from None
    except LabError as error:
        raise NoMachine(str(error)) from None


def on_host(name: str, hosts: Sequence[str]) -> str:
    """The machine ``name`` as the host that is asked for, where it is one. Raises
    :class:`UsageError` where it cannot be."""
    from vcpu_scenario.kernels.hosts import cpu_of

    kind, _, release = name.partition(":")
    if kind == "kvm" and any(cpu_of(host) is not cpu_of("") for host in hosts):
        raise UsageError("--cpu: kvm runs on the CPU of this host")
    if not hosts or not release:
        return name
    if len(hosts) > 1:
        raise UsageError(f"--host: {name} is one host; name one")
    if "+" in release:
        raise UsageError(f"--host: {name} names its host already")
    return f"{name}+{hosts[0]}" if hosts[0] else name


def selection_for(target: "Target", selection: "Selection") -> "Selection":
    """What is selected on ``target``. Raises :class:`UsageError` where that is no choice."""
    if target.kernel is None:
        return selection
    named = selection.kernels
    if named and not {*named} <= {target.kernel, target.kernel.partition("+")[0]}:
        raise UsageError(f"--kernel: {target.name} is {target.kernel}, and no other")
    return replace(selection, kernels=(target.kernel,), hosts=host_of(target, selection.hosts))


def host_of(target: "Target", asked: Sequence[str]) -> tuple[str, ...]:
    """The one host that ``target``, of one kernel, is: what it says of itself, or what is said of
    it where it says nothing."""
    from vcpu_scenario.kernels.release import parse_release

    own = parse_release(target.kernel or "").host
    return (own,) if own or not asked else tuple(asked)
