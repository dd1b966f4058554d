"""The table of kernels: which rules a release has."""

from __future__ import annotations

from functools import cache
from typing import Final

from msgspec import Struct

from vcpu_scenario.arm64.cpumodels import CORTEX_A57, CpuModel
from vcpu_scenario.kernels.behaviour import Behaviour, behaviour_of
from vcpu_scenario.kernels.hosts import cpu_of, is_so
from vcpu_scenario.kernels.modelled import modelled
from vcpu_scenario.kernels.release import KNOWN_RELEASES, RangeError, parse_range, parse_release
from vcpu_scenario.kernels.rules import RULES

OLDEST: Final = KNOWN_RELEASES[0]

CAPABILITY_RULES: Final = {
    "arm_nisv_to_user": "nisv_to_user",
    "arm_system_suspend": "psci_system_suspend",
    "arm_writable_imp_id_regs": "implementation_id_writable",
    "manual_dirty_log_protect2": "dirty_log_manual_protect",
}
"""``KVM_ENABLE_CAP``: the rule that a capability came with."""


class UnknownKernel(Exception):
    """No kernel of that name can be emulated."""


class Kernel(Struct, frozen=True):
    """A release, or a variant of one, with its rules, and the CPU that it runs on."""

    name: str
    rules: frozenset[str]
    behaviour: Behaviour
    cpu: CpuModel = CORTEX_A57

    @property
    def capabilities(self) -> frozenset[str]:
        return frozenset(cap for cap, rule in CAPABILITY_RULES.items() if rule in self.rules)

    @property
    def loses_steps(self) -> bool:
        """Whether a host interrupt between two entries makes a pending step start over."""
        behaviour = self.behaviour
        return not (behaviour.active_pending_kept or behaviour.step_state_swapped_at_load)


@cache
def kernel(name: str) -> Kernel:
    """The kernel called ``name``: ``6.12``, ``6.12.107``, a variant such as ``5.0-v2trap``, or
    one on a host such as ``6.12+protected``.

    Any release from the oldest row on resolves; a release between two rows has the rules whose
    ranges it lies in. Raises :class:`UnknownKernel`.
    """
    try:
        release = parse_release(name)
    except RangeError as error:
        raise UnknownKernel(str(error)) from None
    if release.numbers < parse_release(OLDEST).numbers:
        raise UnknownKernel(f"kernel {name} is older than {OLDEST}, the oldest that is modelled")
    plain = type(release)(release.numbers)
    rules = {
        rule.name
        for rule in RULES
        if rule.kernels
        and parse_range(rule.kernels).admits(plain)
        and (not rule.host or is_so(release.host, rule.host))
    }
    if release.variant == "v2trap":
        rules.add("gicv_trapped")
    return with_rules(name, frozenset(rules))


def with_rules(name: str, rules: frozenset[str]) -> Kernel:
    """A kernel with exactly ``rules``, on the host that ``name`` says."""
    release = parse_release(name)
    return Kernel(name, rules, behaviour_of(rules | modelled(release)), cpu_of(release.host))
