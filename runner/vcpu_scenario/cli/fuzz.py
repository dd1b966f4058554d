"""``scenario fuzz``: random programs on a real kernel and on the emulated machine as it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vcpu_scenario.cli.collect import collect
from vcpu_scenario.cli.loading import count
from vcpu_scenario.cli.machines import LabArguments, failing, machine
from vcpu_scenario.cli.output import cannot_write, complain, say
from vcpu_scenario.cli.status import NoMachine, Status
from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.printable import printable
from vcpu_scenario.host.writing import write_whole
from vcpu_scenario.running.pool import Lost, Stop

if TYPE_CHECKING:
    from vcpu_scenario.analysis.fuzz import Outcome
    from vcpu_scenario.running.targets import Target

_PATIENCE: Final = 1800.0
"""Seconds for one program: a boot, a run, and as many as it takes to shrink it."""

_SHOWN: Final = 8
"""Seeds that are named of one kind of difference."""


def fuzz(
    name: str,
    programs: int,
    seed: int,
    folder: str,
    lab: LabArguments,
    *,
    hosts: Sequence[str] = (),
    jobs: int,
    known: Sequence[int] = (),
    profile: str = "wide",
) -> Status:
    """Runs ``programs`` programs from ``seed`` on; what differs is written into ``folder``.

    ``profile`` names one of :data:`vcpu_scenario.analysis.generate.PROFILES`. Those of the seeds
    ``known`` are known to differ: they are counted and not run.
    """
    from vcpu_scenario.running.targets import target

    _usable(folder)
    with machine(name, lab, hosts) as real:
        if not real.real or real.kernel is None:
            raise UsageError("--machine: fuzzing compares a real kernel: lab:6.12, or kvm")
        with target(f"emulated:{real.kernel}", lab.options()) as emulated:
            stop = Stop()
            seeds = range(seed, seed + programs)
            found = _outcomes(seeds, real, emulated, jobs, stop, known, profile)
            outcomes, interrupted = collect(found, programs, stop)
    kinds = _write(outcomes, real.kernel, folder)
    _report(name, outcomes, seed, kinds)
    if interrupted:
        rest = seed + len(outcomes)
        complain(f"interrupted; go on with --seed {rest} --count {seed + programs - rest}")
        return Status.INTERRUPTED
    return Status.MISMATCH if kinds else Status.OK


def _usable(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--output: {folder}: {error.strerror}") from None


def _outcomes(
    seeds: range,
    real: Target,
    emulated: Target,
    jobs: int,
    stop: Stop,
    known: Sequence[int],
    profile: str,
) -> Generator[Outcome, None, None]:
    from vcpu_scenario.analysis import fuzz as fuzzing
    from vcpu_scenario.analysis.generate import PROFILES, generate
    from vcpu_scenario.running import pool as workers

    about = PROFILES[profile]
    attempt = fuzzing.attempts(lambda seed: generate(seed, about), seeds, real, emulated)

    def work(number: int) -> Any:
        if seeds[number] in known:
            return fuzzing.Outcome(seeds[number], "skipped", "known to differ")
        try:
            with failing():
                return attempt(number)
        except (NoMachine, UsageError) as failed:
            return failed

    # A real kernel is a process of its own already: one needs no other around it.
    processes = 0 if jobs == 1 else jobs
    for number, found in workers.results(
        work, len(seeds), processes, stop=stop, patience=lambda _: _PATIENCE
    ):
        if isinstance(found, NoMachine | UsageError):
            raise found
        if isinstance(found, Lost):
            yield fuzzing.Outcome(seeds[number], "lost", found.reason, console=found.detail)
        else:
            yield found


def _write(
    outcomes: Sequence[Outcome], kernel: str, folder: str
) -> list[tuple[str, list[Outcome], list[str]]]:
    """Each kind of difference, the programs that differ so, and the files that show it."""
    from vcpu_scenario.analysis.fuzz import by_kind

    kinds = []
    for kind, found in by_kind(list(outcomes)):
        smallest = sorted((one for one in found if one.case is not None), key=_size)
        files = [_file(one, kernel, folder) for one in smallest[:2]]
        kinds.append((kind, found, files))
    return kinds


def _size(outcome: Outcome) -> tuple[int, int]:
    assert outcome.case is not None
    nops = sum(load.data.count(b"\x1f\x20\x03\xd5") for load in outcome.case.loads)
    return sum(len(load.data) for load in outcome.case.loads) - 4 * nops, outcome.seed


def _file(outcome: Outcome, kernel: str, folder: str) -> str:
    from vcpu_scenario.actions.kind import Unwritable
    from vcpu_scenario.interchange.cases import case_to_json
    from vcpu_scenario.language.write import write

    assert outcome.case is not None
    stem = Path(folder, f"fuzz-{kernel}-{outcome.seed}")
    about = _about(outcome, kernel)
    try:
        text = write(
            outcome.case,
            title=f"random program {outcome.seed} on {kernel}: {outcome.kind}",
            about=about,
            tags=("fuzz",),
            kernel=kernel,
            trace=outcome.real,
        )
        path = stem.with_name(f"{stem.name}.vcpu.yaml")
    except Unwritable as reason:
        import json

        document = {"not a scenario": str(reason), "about": about.splitlines()}
        text = json.dumps(document | {"case": case_to_json(outcome.case)}, indent=1)
        path = stem.with_name(f"{stem.name}.json")
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise cannot_write(path, error) from None
    return str(path)


def _about(outcome: Outcome, kernel: str) -> str:
    if outcome.emulated is None or outcome.real is None:
        return f"{outcome.kind}\n{outcome.console[-2000:]}"
    from vcpu_scenario.report.pair import side_by_side
    from vcpu_scenario.report.styled import plain

    titles = f"emulated:{kernel}", f"real {kernel}"
    # The first line says how far YAML indents the rest.
    return "Side by side:\n" + plain(side_by_side(titles, outcome.emulated, outcome.real))


def _report(
    name: str,
    outcomes: Sequence[Outcome],
    seed: int,
    kinds: Sequence[tuple[str, list[Outcome], list[str]]],
) -> None:
    states = Counter[str](outcome.state for outcome in outcomes)
    parts = [f"{states[state]} {words}" for state, words in _STATES.items() if states[state]]
    programs = count(len(outcomes), "program")
    say(f"{name}: {programs} from seed {seed}: {', '.join(parts) or 'none was run'}\n")
    skipped = Counter(outcome.kind for outcome in outcomes if outcome.state == "skipped")
    for reason, number in skipped.most_common():
        say(f"  not compared: {number} x {reason}\n")
    for kind, found, files in kinds:
        seeds = ", ".join(str(outcome.seed) for outcome in found[:_SHOWN])
        more = ", ..." if len(found) > _SHOWN else ""
        say(f"  {len(found)} x {kind} (seed {seeds}{more})\n")
        for file in files:
            say(f"      {printable(file)}\n")


_STATES: Final = {
    "same": "the same",
    "differs": "differ",
    "lost": "lost the kernel",
    "skipped": "not compared",
}
