"""Hosts: what a kernel runs on, and what it was booted with, where that changes what a VM sees.

A host is named by its words, ``cortex-a76`` or ``cortex-a76+protected``; one whose name is empty
is the default, a Cortex-A57 and a kernel that no parameter was given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from msgspec import Struct

from vcpu_scenario.arm64.cpumodels import CORTEX_A57, CPUS, CpuModel

DEFAULT: Final = "default"
"""The word for the host whose name is empty."""


class UnknownHost(ValueError):
    """No host is called so; ``word`` is the part of its name at fault."""

    def __init__(self, message: str, word: str, expected: str) -> None:
        super().__init__(message)
        self.word = word
        self.expected = expected


class Mode(Struct, frozen=True):
    """A way to boot a kernel: ``parameters`` stand on its command line, and ``kernels`` is the
    range of those that were looked at."""

    name: str
    summary: str
    parameters: str
    kernels: str
    gicv2: bool = True
    """There is KVM where the host's GIC is a GICv2."""


MODES: Final[Mapping[str, Mode]] = {
    mode.name: mode
    for mode in (
        Mode(
            "protected",
            "KVM in protected mode (pKVM), as `kvm-arm.mode=protected` starts it",
            "kvm-arm.mode=protected",
            # Mainline after 7.2 copies MDSCR_EL1 of guest debug to hyp (a940b03cee15): 7.3 at the
            # earliest, which nobody has looked at.
            ">=6.1 <7.3",
            gicv2=False,  # a770ee80e662 ("KVM: arm64: pkvm: Disable GICv2 support") in 5.17
        ),
        Mode(
            "gicv3-trapped",
            "each access to the CPU interface of a GICv3 traps, as on CPUs whose errata ask for it "
            "and with `kvm-arm.vgic_v3_*_trap=1`",
            "kvm-arm.vgic_v3_common_trap=1 kvm-arm.vgic_v3_group0_trap=1"
            " kvm-arm.vgic_v3_group1_trap=1",
            ">=4.14",
        ),
    )
}

WORDS: Final = (DEFAULT, *CPUS, *MODES)
"""What a host may be called by."""


def host(words: Iterable[str]) -> str:
    """The name of the host that is all that ``words`` say. Raises :class:`UnknownHost`."""
    given = [word for whole in words for word in whole.split("+")]
    for word in given:
        if word not in WORDS:
            raise UnknownHost(f"no host is called `{word}`", word, ", ".join(WORDS))
    cpus = [word for word in CPUS if word in given]
    if len(cpus) > 1:
        raise UnknownHost(f"no host is {' and '.join(cpus)} at once", cpus[1], "one CPU")
    modes = [word for word in MODES if word in given]
    return "+".join([*(cpu for cpu in cpus if cpu != CORTEX_A57.name), *modes])


@lru_cache(maxsize=256)
def modes_of(name: str) -> tuple[Mode, ...]:
    """How the host of that name was booted."""
    return tuple(MODES[word] for word in name.split("+") if word in MODES)


@lru_cache(maxsize=256)
def cpu_of(name: str) -> CpuModel:
    """The CPU of the host of that name."""
    return next((CPUS[word] for word in name.split("+") if word in CPUS), CORTEX_A57)


@lru_cache(maxsize=1024)
def is_so(name: str, said: str) -> bool:
    """Whether the host ``name`` is what ``said`` says, another one's name or ``default``."""
    if said == DEFAULT:
        return not name
    has = {cpu_of(name).name, *(mode.name for mode in modes_of(name))}
    return has.issuperset(said.split("+"))


def lacks_gic(name: str, version: int) -> str:
    """Why the host of that name runs no VM with a GIC of that version, empty where it does."""
    if version == 2 and (modes := [mode.name for mode in modes_of(name) if not mode.gicv2]):
        return f"{modes[0]}: there is no KVM on a host with a GICv2"
    return ""


def ranges_of_host(name: str) -> tuple[str, ...]:
    """Ranges of kernels: only one that is in each of them is modelled on that host."""
    cpu = cpu_of(name)
    return tuple(text for text in (cpu.kernels, *(m.kernels for m in modes_of(name))) if text)
