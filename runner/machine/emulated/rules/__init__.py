"""The rules: every behaviour that differs between releases, each with where it comes from.

A kernel of the table is the set of rules that hold for its release; the machine switches on
rules (:class:`~runner.machine.emulated.behaviour.Behaviour`), never on versions.
"""

from __future__ import annotations

from typing import Final

from runner.machine.emulated.rules.hypercalls import HYPERCALLS
from runner.machine.emulated.rules.mmio import MMIO
from runner.machine.emulated.rules.records import RECORDS
from runner.machine.emulated.rules.registers import REGISTERS
from runner.machine.emulated.rules.rule import Commit, Rule
from runner.machine.emulated.rules.stepping import STEPPING
from runner.machine.emulated.rules.vgic import VARIANTS, VGIC

__all__ = ["BY_NAME", "RULES", "Commit", "Rule"]

RULES: Final = (*STEPPING, *MMIO, *RECORDS, *HYPERCALLS, *REGISTERS, *VGIC, *VARIANTS)
"""Every rule. A rule without a range belongs to variants of a release alone."""

BY_NAME: Final = {rule.name: rule for rule in RULES}
