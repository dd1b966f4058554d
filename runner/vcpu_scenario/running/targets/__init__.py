"""Where cases are run: the emulated machine, this host's KVM, or a lab with a kernel of its own.

``emulated`` takes each case as the kernel it is for, ``emulated:6.12`` as that release;
``kvm`` is ``/dev/kvm`` of an arm64 host, ``lab:6.12`` a real kernel under QEMU, and
``lab:6.12+protected`` one on another host (:mod:`vcpu_scenario.kernels.hosts`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from vcpu_scenario.running.targets.emulated import Emulated, Made
from vcpu_scenario.running.targets.real import InLab, Kvm, beyond_real_kvm, lacks_capability
from vcpu_scenario.running.targets.target import BadTarget, Create, Found, Lost, Skipped, Target

if TYPE_CHECKING:
    from vcpu_scenario.machine.real.lab import LabOptions

__all__ = [
    "BadTarget",
    "Create",
    "Emulated",
    "Found",
    "InLab",
    "Kvm",
    "Lost",
    "Made",
    "Skipped",
    "Target",
    "beyond_real_kvm",
    "lacks_capability",
    "target",
]


def target(name: str, options: LabOptions | None = None) -> Target:
    """The machine called ``name``; ``options`` are those of a lab.

    Raises :class:`BadTarget`; for a lab :class:`~vcpu_scenario.machine.real.lab.LabError`, and for
    ``kvm`` :class:`~vcpu_scenario.machine.real.errors.NoKvmError` where the host has none.
    """
    kind, colon, release = name.partition(":")
    make = _KINDS.get(kind)
    if make is None or (colon and not release):
        raise BadTarget(f"no machine is called `{name}`; there are {KINDS}")
    return make(release, options)


KINDS: Final = "emulated, emulated:RELEASE, kvm and lab:RELEASE"


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
