"""Holds a recorded trace, and the draft that is made of it, to the scenario that was run."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace
from vcpu_scenario import Result, run
from vcpu_scenario.authoring.formatting import formatted
from vcpu_scenario.field.beside import beside, returns
from vcpu_scenario.field.draft import draft
from vcpu_scenario.field.reading import read_trace
from vcpu_scenario.field.records import FieldTrace
from vcpu_scenario.language import ScenarioCase
from vcpu_scenario.language.loader import loads
from vcpu_scenario.running.targets import Emulated
from vcpu_scenario.trace import Trace
from vcpu_scenario.verdict.exits import compare_exits
from vcpu_scenario.verdict.result import guest_of


def imported(folder: Path, text: str) -> FieldTrace:
    """What ``text`` shows, by way of a file."""
    path = folder / "trace.txt"
    path.write_text(text)
    return read_trace(str(path))


def differences(folder: Path, case: ScenarioCase, text: str) -> list[str]:
    """How a trace, and the draft of it, differ from what the model gives for ``case``."""
    field = imported(folder, text)
    found = beside(field, case)
    said = [] if found.mismatch is None else [found.mismatch.message]
    said += [found.left_out] if found.left_out else []
    said += [f"it ends {found.more} exits early"] if found.more else []
    drafted = loads(draft(field, case.id, case.kernel), folder / "draft.vcpu.yaml")
    (again,) = drafted.cases([case.kernel], None)
    assert again.expectation is not None
    assert again.expectation.exits is not None
    came = list(returns(_run(case, len(field.exits)), case.kernel))[: len(field.exits)]
    span = again.expectation.span
    mismatches = compare_exits(again.expectation.exits, came, guest_of(case), span)
    return [*said, *(f"draft: {mismatch.message}" for mismatch in mismatches)]


def drafted(folder: Path, text: str, kernel: str) -> Result:
    """What came of the draft of ``text``, run on ``kernel``."""
    made = formatted(draft(imported(folder, text), "trace", kernel), folder / "draft.vcpu.yaml")
    (result,) = run(loads(made, folder / "draft.vcpu.yaml"))
    return result


def _run(case: ScenarioCase, exits: int) -> Trace:
    limits = replace(case.case.limits, exits=exits)
    found = Emulated().run(replace(case.case, limits=limits), case.kernel)
    assert isinstance(found, Trace)
    return found
