"""Which rules of a kernel are behind a stop: the way to it is gone again without each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vcpu_scenario.debugger.finer import state_of
from vcpu_scenario.kernels.table import Kernel, kernel, with_rules
from vcpu_scenario.machine.emulated.machine import EmulatedMachine
from vcpu_scenario.machine.errors import KvmError, NotModelled
from vcpu_scenario.running.causes import Asked
from vcpu_scenario.vmm.session import Session

if TYPE_CHECKING:
    from vcpu_scenario.debugger.history import History
    from vcpu_scenario.language import ScenarioCase

_MOST: Final = 1000
"""Things done, up to which the way is gone again for each rule."""


def rules_of(history: History, case: ScenarioCase) -> list[str] | None:
    """Their names; None where the way is too long."""
    if history.length > _MOST:
        return None
    own = kernel(case.kernel)
    vmm = type(history.session.vmm).name

    def state(which: Kernel) -> object:
        try:
            session = history.again(lambda: Session(EmulatedMachine(which), case.case, vmm))
        except (KvmError, NotModelled) as limit:
            return str(limit)
        found = session.told, state_of(session)
        session.close()
        return found

    asked = Asked(own)
    here = state(asked.kernel)
    return [
        name
        for name in sorted(asked.rules)
        if state(with_rules(own.name, own.rules - {name})) != here
    ]
