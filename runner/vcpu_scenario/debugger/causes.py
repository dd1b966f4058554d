"""Which rules of a kernel are behind a stop: the way to it is gone again without each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vcpu_scenario.analysis.later import later_releases
from vcpu_scenario.debugger.finer import state_of
from vcpu_scenario.kernels.rules import RULES
from vcpu_scenario.kernels.table import Kernel, kernel, with_rules
from vcpu_scenario.machine.emulated.machine import EmulatedMachine
from vcpu_scenario.machine.errors import KvmError, NotModelled, Unexpected, Unsupported
from vcpu_scenario.running.causes import Asked
from vcpu_scenario.vmm.session import Session
from vcpu_scenario.vmm.told import Over

if TYPE_CHECKING:
    from vcpu_scenario.debugger.history import History
    from vcpu_scenario.language import ScenarioCase

MOST: Final = 1000
"""Things done, up to which the way is gone again for each rule."""


class Behind:
    """The rules behind the last stop of a debugger, gone to again as kernels that differ in one."""

    def __init__(self, history: History, case: ScenarioCase) -> None:
        self._history = history
        self._case = case
        asked = Asked(kernel(case.kernel))
        self._here = self._state(asked.kernel)
        self._rules = asked.rules

    def own(self) -> list[str]:
        """Those of the kernel without which the stop would be another."""
        own = kernel(self._case.kernel)
        return [name for name in sorted(self._rules) if self._is_another(own, name, self._here)]

    def lacking(self) -> tuple[str, list[str]]:
        """The first later release that stops elsewhere, and the rules that it has gained without
        which it would not stop there; nothing where none does."""
        own = kernel(self._case.kernel)
        for name in later_releases(own.name):
            there = kernel(name)
            state = self._state(there)
            if state not in (self._here, None):
                gained = there.rules - own.rules
                rules = (rule.name for rule in RULES if rule.name in gained)
                return name, [rule for rule in rules if self._is_another(there, rule, state)]
        return "", []

    def _is_another(self, which: Kernel, rule: str, state: object) -> bool:
        return self._state(with_rules(which.name, which.rules - {rule})) not in (state, None)

    def _state(self, which: Kernel) -> object:
        """What is told at the stop, and the registers; None where that is not modelled."""
        vmm = type(self._history.session.vmm).name
        try:
            session = self._history.again(
                lambda: Session(EmulatedMachine(which), self._case.case, vmm)
            )
        except (KvmError, Unexpected, Unsupported) as refusal:
            return str(refusal)
        except NotModelled:
            return None
        told, found = session.told, state_of(session)
        session.close()
        return None if isinstance(told, Over) and told.unmodelled else (told, found)
