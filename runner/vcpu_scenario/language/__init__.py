"""The language: from a ``*.vcpu.yaml`` file to cases with their expectations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vcpu_scenario.language.loader import SUFFIX, load, loads
    from vcpu_scenario.language.model import Scenario, ScenarioCase

__all__ = ["SUFFIX", "Scenario", "ScenarioCase", "load", "loads"]

_HOMES = {
    "SUFFIX": "vcpu_scenario.language.loader",
    "Scenario": "vcpu_scenario.language.model",
    "ScenarioCase": "vcpu_scenario.language.model",
    "load": "vcpu_scenario.language.loader",
    "loads": "vcpu_scenario.language.loader",
}


def __getattr__(name: str) -> Any:
    # Whoever needs expectations alone shall not pay for YAML, nor the assembly for the loader.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
