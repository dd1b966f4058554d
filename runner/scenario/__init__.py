"""The language: from a ``*.vcpu.yaml`` file to cases with their expectations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.scenario.loader import SUFFIX, load, loads
    from runner.scenario.model import Scenario, ScenarioCase

__all__ = ["SUFFIX", "Scenario", "ScenarioCase", "load", "loads"]

_HOMES = {
    "SUFFIX": "runner.scenario.loader",
    "Scenario": "runner.scenario.model",
    "ScenarioCase": "runner.scenario.model",
    "load": "runner.scenario.loader",
    "loads": "runner.scenario.loader",
}


def __getattr__(name: str) -> Any:
    # Whoever needs expectations alone shall not pay for YAML, nor the assembly for the loader.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
