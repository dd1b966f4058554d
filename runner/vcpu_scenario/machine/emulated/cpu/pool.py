"""CPUs that are used again: making one costs more than most runs."""

from __future__ import annotations

from vcpu_scenario.machine.emulated.cpu.core import Cpu

_KEPT = 4
_free: list[Cpu] = []


def take() -> Cpu:
    """A CPU as new."""
    try:
        return _free.pop()
    except IndexError:  # asked for, not looked up before: another thread may take the last one
        return Cpu()


def give_back(cpu: Cpu) -> None:
    """Returns a CPU that no VM uses any more."""
    if len(_free) >= _KEPT:
        cpu.close()
        return
    cpu.reset()
    _free.append(cpu)
