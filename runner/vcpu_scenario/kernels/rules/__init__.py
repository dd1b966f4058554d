"""The rules: every behaviour that differs between releases, each with where it comes from.

A kernel of the table is the set of rules that hold for its release; the machine switches on
rules (:class:`~vcpu_scenario.kernels.behaviour.Behaviour`), never on versions.
"""

from __future__ import annotations

from typing import Final

from vcpu_scenario.kernels.rules.hosts import HOSTS
from vcpu_scenario.kernels.rules.hypercalls import HYPERCALLS
from vcpu_scenario.kernels.rules.its import ITS
from vcpu_scenario.kernels.rules.memory import MEMORY
from vcpu_scenario.kernels.rules.mmio import MMIO
from vcpu_scenario.kernels.rules.onereg import ONE_REG
from vcpu_scenario.kernels.rules.pmu import PMU
from vcpu_scenario.kernels.rules.records import RECORDS
from vcpu_scenario.kernels.rules.registers import REGISTERS
from vcpu_scenario.kernels.rules.reglist import REG_LIST
from vcpu_scenario.kernels.rules.rule import Commit, Rule
from vcpu_scenario.kernels.rules.stepping import STEPPING
from vcpu_scenario.kernels.rules.timers import TIMERS
from vcpu_scenario.kernels.rules.vgic import VARIANTS, VGIC

__all__ = ["BY_NAME", "RULES", "Commit", "Rule"]

RULES: Final = (
    *STEPPING,
    *MMIO,
    *MEMORY,
    *RECORDS,
    *HYPERCALLS,
    *REGISTERS,
    *REG_LIST,
    *ONE_REG,
    *PMU,
    *VGIC,
    *TIMERS,
    *ITS,
    *VARIANTS,
    *HOSTS,
)
"""Every rule. A rule without a range belongs to variants of a release alone, and one of a host to
kernels on such a host."""

BY_NAME: Final = {rule.name: rule for rule in RULES}
