"""Holds a machine to recorded traces: every exit, every field, every register change.

A job is run as each kernel it was recorded on and must give exactly the recorded trace. On
kernels whose step is lost to a host interrupt between two entries (all up to 6.0), a trace may
have been recorded with one; it then counts as reproduced if one host interrupt, put after one
exit, makes the machine give all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.case import Case, HostInterrupt
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.recordings.jobs import RecordedJob
from vcpu_scenario.running.causes import causes
from vcpu_scenario.trace import Trace
from vcpu_scenario.verdict import traces
from vcpu_scenario.verdict.records import END
from vcpu_scenario.vmm.loop import run_case

Create = Callable[[str], Machine]


class Difference(Struct, frozen=True):
    """The first place where two traces part: ``exit``, by number, or ``set-up``, ``eventfd`` or
    ``ring`` where that is None.

    ``expected`` is what was recorded there, ``found`` what the machine gave, either None where
    that trace had ended; ``fields`` name what differs in an exit, and ``rules`` those without
    which the machine would give another.
    """

    at: str
    expected: Any
    found: Any
    exit: int | None = None
    fields: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "at": self.at,
            "fields": list(self.fields),
            "expected": self.expected,
            "found": self.found,
            "rules": list(self.rules),
        }


class Outcome(Struct, frozen=True):
    """What became of one job, read from ``path``, on one kernel.

    ``difference`` is None where the trace was reproduced; ``host_interrupt`` is the exit after
    which a host interrupt was needed for that, -1 being before the first. ``error`` says why the
    job could not be run at all.
    """

    job: str
    kernel: str
    difference: Difference | None = None
    host_interrupt: int | None = None
    path: str = ""
    error: str = ""

    @property
    def exact(self) -> bool:
        return self.reproduced and self.host_interrupt is None

    @property
    def reproduced(self) -> bool:
        return self.difference is None and not self.error


def check(
    job: RecordedJob, kernel: str, create: Create, *, swallows_steps: Callable[[str], bool]
) -> Outcome:
    """Run ``job`` as ``kernel`` on its CPU; ``swallows_steps`` says for which kernels it is known
    that a host interrupt loses a step."""
    recorded = job.trace(kernel)
    if recorded is None:
        raise ValueError(f"{job.name} was not recorded on {kernel}")
    found = _run(job.case, job.on(kernel), create)
    if found.unmodelled is not None:
        return Outcome(job.name, kernel, path=job.path, error=str(found.unmodelled))
    difference = first_difference(recorded, found)
    if difference is not None and swallows_steps(kernel):
        for index in _interrupt_places(difference):
            again = _run(_interrupt_after(job.case, index), job.on(kernel), create)
            if first_difference(recorded, again) is None:
                return Outcome(job.name, kernel, None, index, path=job.path)
    if difference is not None:
        difference = replace(difference, rules=_rules_at(difference.exit, job, kernel))
    return Outcome(job.name, kernel, difference, path=job.path)


def _rules_at(exit_: int | None, job: RecordedJob, kernel: str) -> tuple[str, ...]:
    """The rules without which the exit that differs would be another, or the final state."""
    return tuple(
        rule
        for cause in causes(job.case, job.on(kernel))
        for rule in cause.rules
        if cause.exit == (END if exit_ is None else exit_)
    )


def compared(job: RecordedJob, kernel: str, trace: Trace) -> Outcome:
    """What became of ``job``, of which ``trace`` is a run on another machine as ``kernel``."""
    recorded = job.trace(kernel)
    if recorded is None:
        raise ValueError(f"{job.name} was not recorded on {kernel}")
    return Outcome(job.name, kernel, first_difference(recorded, trace), path=job.path)


def first_difference(recorded: Trace, found: Trace) -> Difference | None:
    """None where ``found`` is the recorded trace in every respect that was recorded."""
    eventfd = found.eventfd if recorded.eventfd else ()
    ring = found.ring if recorded.ring is not None else None
    differences = traces.first_difference(recorded, Trace(found.exits, eventfd, ring, found.error))
    if not differences:
        return None
    at, exits = differences[0].at, differences[0].exits
    if at != "exit":
        key = "error" if at == "set-up" else at
        return Difference(at, recorded.to_json().get(key), found.to_json().get(key))
    expected, came = (
        None if index is None else trace.exits[index].to_json()
        for index, trace in zip(exits, (recorded, found), strict=True)
    )
    names = {each.field.partition(".")[0] for each in differences}
    fields = tuple(name for name in {**(expected or {}), **(came or {})} if name in names)
    index = next(index for index in exits if index is not None)
    return Difference(f"exit {index}", expected, came, index, fields)


def summary(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """``{"kernels": {"6.12": {"total", "exact", "with_host_interrupt", "misses"}}}``.

    ``exact`` counts the traces reproduced without more ado; ``with_host_interrupt`` lists those
    that were with one, and ``misses`` those that were not, with their first difference.
    """
    kernels: dict[str, dict[str, Any]] = {}
    for outcome in outcomes:
        entry = kernels.setdefault(
            outcome.kernel, {"total": 0, "exact": 0, "with_host_interrupt": [], "misses": []}
        )
        entry["total"] += 1
        entry["exact"] += outcome.exact
        job = {"job": outcome.job, "file": outcome.path}
        if outcome.error:
            entry["misses"].append({**job, "at": "the run", "error": outcome.error})
        elif outcome.difference is not None:
            entry["misses"].append({**job, **outcome.difference.to_json()})
        elif outcome.host_interrupt is not None:
            entry["with_host_interrupt"].append({**job, "after_exit": outcome.host_interrupt})
    return {"kernels": kernels}


def _run(case: Case, kernel: str, create: Create) -> Trace:
    with closing(create(kernel)) as machine:
        return run_case(machine, case)


def _interrupt_places(difference: Difference) -> range:
    """A lost step shows at the exit that differs or later: the interrupt came just before."""
    index = difference.exit
    return range(0) if index is None else range(max(index - 2, -1), index)


def _interrupt_after(case: Case, after: int) -> Case:
    if after < 0:
        return replace(case, before=(*case.before, HostInterrupt()))
    on = dict(case.on)
    on[after] = (*on.get(after, ()), HostInterrupt())
    return replace(case, on=tuple(on.items()))
