"""CPUs that are used again: making one costs more than most runs."""

from __future__ import annotations

from vcpu_scenario.arm64.cpumodels import CpuModel
from vcpu_scenario.machine.emulated.cpu.core import Cpu

_KEPT = 4
"""Of each model."""
_free: dict[str, list[Cpu]] = {}
"""By the names of their models."""


def take(model: CpuModel) -> Cpu:
    """A CPU as new."""
    try:
        return _free[model.name].pop()
    except LookupError:  # asked for, not looked up before: another thread may take the last one
        return Cpu(model)


def give_back(cpu: Cpu) -> None:
    """Returns a CPU that no VM uses any more; it is used again unless a fault of the machine's own
    left it in a state that nobody knows."""
    if not cpu.sound or len(_free.get(cpu.model.name, ())) >= _KEPT:
        cpu.close()
        return
    cpu.reset()
    _free.setdefault(cpu.model.name, []).append(cpu)
