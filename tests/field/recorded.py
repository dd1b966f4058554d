"""What tracers said of shipped scenarios on real kernels, by kernel, tracer and case."""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from vcpu_scenario.kernels.release import parse_release
from vcpu_scenario.language import ScenarioCase
from vcpu_scenario.running.paths import find
from vcpu_scenario.running.select import Selection, load_all
from vcpu_scenario.running.targets import beyond_real_kvm

HERE: Final = Path(__file__).parent
KEPT: Final = HERE.parent / "recorded" / "field"
ROOT: Final = HERE.parent.parent
SCENARIOS: Final = ("docs/mail", "scenarios")

Texts = Mapping[str, Mapping[str, str]]


def kernels() -> list[str]:
    """Those that were asked."""
    return sorted(path.name.removesuffix(".json.xz") for path in KEPT.glob("*.json.xz"))


@cache
def texts(kernel: str) -> Texts:
    """By tracer and the case's id."""
    found: Texts = json.loads(lzma.decompress((KEPT / f"{kernel}.json.xz").read_bytes()))
    return found


def keep(kernel: str, found: Texts) -> None:
    """Writes what a kernel gave, in the place of what it gave for the same cases before; of cases
    that ship no more nothing is kept."""
    KEPT.mkdir(exist_ok=True)
    before = texts(kernel) if kernel in kernels() else {}
    every = {
        tracer: {**before.get(tracer, {}), **found.get(tracer, {})}
        for tracer in {**before, **found}
    }
    ship = cases(kernel)
    every = {
        tracer: {name: text for name, text in told.items() if name in ship}
        for tracer, told in every.items()
    }
    text = json.dumps(every, indent=0)
    (KEPT / f"{kernel}.json.xz").write_bytes(lzma.compress(text.encode(), preset=9))


@cache
def cases(kernel: str) -> Mapping[str, ScenarioCase]:
    """One case of each shipped scenario and each of its parameters that real KVM can run, by id."""
    scenarios, faults = load_all(find([str(ROOT / folder) for folder in SCENARIOS]))
    assert not faults
    selection = Selection((kernel,), complain=lambda _: None)
    found: dict[str, ScenarioCase] = {}
    for case in selection.cases(scenarios):
        runs = case.expectation is not None and case.expectation.refused is None
        at_home = not parse_release(case.kernel).host  # a lab has its CPU by an option
        if runs and at_home and not beyond_real_kvm(case.case):
            found.setdefault(case.id.partition("@")[0], case)
    return {case.id: case for case in found.values()}
