"""Run declarative vCPU scenarios against KVM/arm64, emulated or real.

>>> from vcpu_scenario import load, run
>>> {result.verdict for result in run(load("scenarios/thread/pl011-write-step.vcpu.yaml"))}
{'pass'}

The public API, documented in :mod:`vcpu_scenario.api`:

- :func:`load`, :func:`loads`, :func:`dumps`: scenarios from a file, from text, and to text.
- :func:`run`: cases to results, a :class:`Result` for each :class:`ScenarioCase`.
- :func:`compare`: two runs to a :class:`Comparison`; :func:`failure_text`: results to text.
- :class:`InvalidScenario` and :class:`UsageError`: what these raise for bad input.

Names are imported on first use, so that the command line imports only what it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vcpu_scenario.host.package import VERSION

if TYPE_CHECKING:
    from vcpu_scenario.api import (
        Comparison,
        Diagnostic,
        Difference,
        Entry,
        Exit,
        InvalidScenario,
        Mismatch,
        Result,
        Scenario,
        ScenarioCase,
        Stop,
        Trace,
        UsageError,
        Verdict,
        compare,
        dumps,
        failure_text,
        load,
        loads,
        run,
    )

__version__ = VERSION

__all__ = [
    "Comparison",
    "Diagnostic",
    "Difference",
    "Entry",
    "Exit",
    "InvalidScenario",
    "Mismatch",
    "Result",
    "Scenario",
    "ScenarioCase",
    "Stop",
    "Trace",
    "UsageError",
    "Verdict",
    "compare",
    "dumps",
    "failure_text",
    "load",
    "loads",
    "run",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from vcpu_scenario import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
