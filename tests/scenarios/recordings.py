"""Recorded jobs beside the shipped scenarios that say where they come from.

A scenario whose ``origin`` has ``recorded job NAME`` runs what that job ran, and its expectation
can be held against the trace that each recorded kernel gave, without running any machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from vcpu_scenario.case import Action, Case, SetMmioData, SetRegister
from vcpu_scenario.kvm.errnos import ERRNOS
from vcpu_scenario.language import SUFFIX, Scenario, ScenarioCase, load
from vcpu_scenario.recordings.jobs import RecordedJob, jobs
from vcpu_scenario.trace import Exit, Trace, observed
from vcpu_scenario.verdict.judge import judge
from vcpu_scenario.verdict.records import Mismatch
from vcpu_scenario.verdict.result import guest_of
from vcpu_scenario.vmm.devices import Bus
from vcpu_scenario.vmm.patterns import Reactions

from tests.entries import entered

ROOT: Final = Path(__file__).parents[2]
SCENARIOS: Final = ROOT / "scenarios"
RECORDED: Final = ROOT / "tests" / "recorded"

_NAMED: Final = re.compile(r"recorded job ([\w-]+)")
_ERRNO: Final = re.compile(r"OSError\((\d+),")
_PRETEXT: Final = SetRegister("x5", 1)
"""The recorder went on after EINTR only where it had something to do: this, to no effect."""


class Pair(NamedTuple):
    """A case of a scenario, and the recorded job that ran the same."""

    case: ScenarioCase
    job: RecordedJob

    @property
    def recorded(self) -> Trace:
        """What the case's kernel gave."""
        found = self.job.trace(self.case.kernel)
        assert found is not None
        return found


@cache
def recorded_jobs() -> dict[str, RecordedJob]:
    return {job.name: job for path in sorted(RECORDED.glob("*.json.xz")) for job in jobs(path)}


@cache
def core_jobs() -> tuple[RecordedJob, ...]:
    return tuple(jobs(RECORDED / "core.json.xz"))


@cache
def shipped() -> tuple[Scenario, ...]:
    return tuple(load(path, SCENARIOS) for path in sorted(SCENARIOS.rglob(f"*{SUFFIX}")))


def named_jobs(scenario: Scenario) -> tuple[str, ...]:
    """The jobs that the scenario's origin names."""
    return tuple(name for line in scenario.origin for name in _NAMED.findall(line))


@cache
def from_recordings() -> tuple[Scenario, ...]:
    return tuple(scenario for scenario in shipped() if named_jobs(scenario))


def cases_as_recorded(scenario: Scenario) -> Iterator[ScenarioCase]:
    """The scenario's cases on every kernel that one of its jobs was recorded on."""
    found = [recorded_jobs()[name] for name in named_jobs(scenario)]
    kernels = {kernel for job in found for trace in job.traces for kernel in trace.kernels}
    for case in scenario.cases(sorted(kernels)):
        if case.expectation is not None:
            yield case


_PAIRS: Final[dict[str, tuple[Pair, ...]]] = {}


def pairs(scenario: Scenario) -> tuple[Pair, ...]:
    """Each case with the job of the scenario's origin that ran the same there."""
    if scenario.name not in _PAIRS:
        _PAIRS[scenario.name] = tuple(_pairs(scenario))
    return _PAIRS[scenario.name]


def _pairs(scenario: Scenario) -> Iterator[Pair]:
    found = [recorded_jobs()[name] for name in named_jobs(scenario)]
    for case in cases_as_recorded(scenario):
        for job in found:
            if not differences(case, job):
                yield Pair(case, job)


def differences(case: ScenarioCase, job: RecordedJob) -> dict[str, tuple[Any, Any]]:
    """What a guest or its VMM could tell the two runs apart by: the job's and the scenario's."""
    recorded = job.trace(case.kernel)
    if recorded is None:
        return {"kernel": (None, case.kernel)}
    limit = case.case.limits.exits
    exits = recorded.exits[:limit]
    # What the recorder did for no other reason than to go on, a scenario need not do.
    needless = () if case.case.limits.stop_on_intr else (_PRETEXT,)
    theirs = _setting(job.case) | _doings(job.case, exits, needless)
    ours = _setting(case.case) | _doings(case.case, exits)
    if len(recorded.exits) == job.case.limits.exits < limit:
        theirs["limits.exits"], ours["limits.exits"] = job.case.limits.exits, limit
    return {key: (theirs[key], ours[key]) for key in ours if theirs[key] != ours[key]}


def _setting(case: Case) -> dict[str, Any]:
    memory = {load.addr + n: byte for load in case.loads for n, byte in enumerate(load.data)}
    return {
        "slots": set(case.slots),
        "memory": {addr: byte for addr, byte in memory.items() if byte},
        "registers": dict(case.regs),
        "capabilities": set(case.caps),
        "gic": case.gic,
        "ioeventfds": case.ioeventfds,
        "coalesced": case.coalesced,
        "debug": case.debug,
        "before": case.before,
        "skip_brk": case.skip_brk,
        "psci_0_2": case.psci_0_2,
        "seconds": case.limits.seconds,
        "repeats": case.limits.repeats,
    }


def _on(case: Case, exits: Sequence[Exit]) -> dict[int, tuple[Action, ...]]:
    """What the VMM does after each exit, at these exits as they were recorded."""
    on = dict(case.on)
    reactions = Reactions(case.reactions)
    for index, (exit_, state) in enumerate(zip(exits, observed(exits), strict=True)):
        if actions := reactions.at(exit_, state):
            on[index] = (*actions, *on.get(index, ()))
    return on


def _doings(case: Case, exits: Sequence[Exit], needless: Sequence[Action] = ()) -> dict[str, Any]:
    """What the VMM does at these exits: its actions, and what each read gets of mmio.data."""
    on = {index: actions for index, actions in _on(case, exits).items() if index < len(exits)}
    if exits and exits[-1].exit == "SYSTEM_EVENT":
        on.pop(len(exits) - 1, None)  # it ended the run: nothing was done after it
    goes_on = [
        index in on or not case.limits.stop_on_intr
        for index, exit_ in enumerate(exits)
        if exit_.errno == ERRNOS["EINTR"]
    ]
    actions = {
        index: kept
        for index, actions in on.items()
        if (kept := [one for one in actions if not _is_reply(one) and one not in needless])
    }
    return {"actions": actions, "goes on": goes_on, "answers": list(_answers(case, exits))}


def _is_reply(action: Action) -> bool:
    return isinstance(action, SetMmioData)


def _answers(case: Case, exits: Sequence[Exit]) -> Iterator[str]:
    """Devices answer, and replies overrule them."""
    bus, on = Bus(case), _on(case, exits)
    for index, exit_ in enumerate(exits):
        if _is_write(exit_):
            _write(bus, exit_.fields)
        elif exit_.exit == "MMIO" and not exit_.ret:
            data = bus.read(exit_.fields["addr"], exit_.fields["len"]).to_bytes(8, "little")
            for action in on.get(index, ()):
                if isinstance(action, SetMmioData):
                    data = action.value.to_bytes(8, "little")
            yield data[: exit_.fields["len"]].hex()


def _write(bus: Bus, mmio: Mapping[str, Any]) -> None:
    bus.write(mmio["addr"], mmio["len"], bytes.fromhex(mmio["data"]))


def _is_write(exit_: Exit) -> bool:
    return exit_.exit == "MMIO" and not exit_.ret and bool(exit_.fields["is_write"])


def trace_of(pair: Pair) -> Trace:
    """The recorded trace as a run of the case would have given it, to the limit that it has."""
    case, recorded = pair.case, pair.recorded
    if recorded.error is not None:
        errno = _ERRNO.search(recorded.error)
        return Trace(error=recorded.error, errno=int(errno.group(1)) if errno else 0)
    exits = recorded.exits[: case.case.limits.exits]
    if len(exits) < len(recorded.exits):
        assert case.expectation is not None
        final = case.expectation.final
        assert not final.eventfds, f"{case.id}: recorded at the job's end alone"
        assert not final.ring, f"{case.id}: recorded at the job's end alone"
    bus = Bus(case.case)
    for exit_ in exits:
        if _is_write(exit_):
            _write(bus, exit_.fields)
    return Trace(
        exits=exits,
        eventfd=recorded.eventfd,
        ring=recorded.ring,
        output=bus.outputs(),
    )


def judged(case: ScenarioCase, trace: Trace) -> tuple[Mismatch, ...]:
    """What the case's expectation has against ``trace``."""
    assert case.expectation is not None
    trace = entered(case.case, trace)
    stops = trace.stops
    return judge(case.expectation, trace, stops, guest_of(case), case.case.limits)
