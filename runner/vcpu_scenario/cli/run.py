"""``scenario run``: executes cases and reports what became of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from math import isfinite
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.cli.clusters import results_on
from vcpu_scenario.cli.collect import collect
from vcpu_scenario.cli.follow import Follower
from vcpu_scenario.cli.loading import scenarios_of
from vcpu_scenario.cli.machines import NO_LAB, LabArguments, failing, machine, selection_for
from vcpu_scenario.cli.nothing import nothing
from vcpu_scenario.cli.output import complain
from vcpu_scenario.cli.reports import SKIPPED, Reports, Told
from vcpu_scenario.cli.status import NoMachine, Status
from vcpu_scenario.errors import UsageError
from vcpu_scenario.running.kept import Kept, pack
from vcpu_scenario.running.pool import Lost, Stop
from vcpu_scenario.running.select import Selection
from vcpu_scenario.running.shards import WHOLE, Shard, ShardError, Share, parse_shard, take
from vcpu_scenario.verdict.result import Result, Verdict, only_skips, tally

if TYPE_CHECKING:
    from vcpu_scenario.language import Scenario, ScenarioCase
    from vcpu_scenario.running.targets import Target
    from vcpu_scenario.vmm.watch import Watch

_PATIENCE: Final = 30.0
"""Seconds that a case may take beyond what its limits give it."""

LONGEST: Final = 600.0
"""Seconds that a case may take at most where nobody asks for more, whatever its limits."""

_BOOT: Final = 600.0
"""The same where it may have to boot a kernel first, and hang there."""


class Run(Struct, frozen=True):
    """The results of a run that may have ended early."""

    results: Kept
    selected: int
    seconds: float
    interrupted: bool

    @property
    def not_run(self) -> int:
        return self.selected - len(self.results)

    @property
    def status(self) -> Status:
        return status_of(self.results, complete=not self.interrupted)

    @property
    def note(self) -> str:
        """Why there are fewer results than cases; empty where there are not."""
        if not self.not_run:
            return ""
        why = "interrupted" if self.interrupted else "stopped at the first failure"
        return f"{why}: {self.not_run} of {self.selected} cases were not run"


def status_of(results: Sequence[Result], *, complete: bool) -> Status:
    """What a process says that has these results, all or not all; nothing run is not success."""
    if not complete:
        return Status.INTERRUPTED
    counts = tally(results)
    if counts[Verdict.FAIL] or counts[Verdict.ERROR]:
        return Status.MISMATCH
    if counts[Verdict.NOT_MODELLED]:
        return Status.NOT_MODELLED
    return Status.NOTHING_SELECTED if only_skips(results) else Status.OK


def run(
    paths: Sequence[str],
    selection: Selection,
    formats: Sequence[str],
    outputs: Sequence[str],
    *,
    exitfirst: bool,
    jobs: int,
    on: str = "emulated",
    lab: LabArguments = NO_LAB,
    shard: str | None = None,
    cluster: str | None = None,
    timeout: float | None = None,
    follow: bool = False,
) -> Status:
    """Runs what is selected in ``jobs`` processes; ``formats`` go to ``outputs`` in order.

    ``on`` names the machine, as :func:`vcpu_scenario.running.targets.target` takes it; ``shard``
    which part of the cases to run, ``2/8``; ``cluster`` the address of one to run them on.
    A case takes at most ``timeout`` seconds. ``follow`` shows what the guests send to their UARTs.
    """
    part = _shard(shard)
    with Reports(formats, outputs) as reports:
        scenarios = scenarios_of(paths, "nothing was run")
        with machine(on, lab, selection.hosts) as target:
            if follow and (cluster is not None or on.startswith("lab") or jobs > 1):
                raise UsageError("--follow: of one process on this machine, and of no lab")
            if timeout is not None:
                _check_timeout(timeout, jobs, cluster, target)
            if cluster is not None and target.real:
                raise UsageError(f"--cluster: its workers emulate; {target.name} is not there")
            cases, share = take(part, cases_on(target, selection, scenarios))
            done = run_cases(
                cases,
                jobs=jobs,
                exitfirst=exitfirst,
                traces=reports.with_traces,
                on=target,
                cluster=cluster,
                timeout=timeout,
                follow=follow,
            )
        told = Told(done.results, done.seconds, done.note, done.not_run)
        reports.write(told if shard is None else replace(told, share=share))
    if done.interrupted and not done.results:
        complain(done.note)
    elif done.status == Status.NOTHING_SELECTED and not (done.results and reports.in_words):
        complain(_why_nothing(done, share, nothing(scenarios, selection)))
    return done.status


def _check_timeout(timeout: float, jobs: int, cluster: str | None, target: Target) -> None:
    """It ends a process, so there has to be one."""
    if not isfinite(timeout):
        raise UsageError("--timeout: expected seconds")
    if target.real:
        raise UsageError("--timeout: of the emulated machine; a lab has --lab case_seconds=N")
    if jobs == 0 or cluster is not None:
        raise UsageError("--timeout: of processes of this machine, not with -j 0 or --cluster")


def _shard(text: str | None) -> Shard:
    try:
        return WHOLE if text is None else parse_shard(text)
    except ShardError as error:
        raise UsageError(f"--shard: {error}") from None


def _why_nothing(done: Run, share: Share, unselected: str) -> str:
    if done.results:
        return SKIPPED
    if share.cases:
        return f"no case is in shard {share.shard}"
    return unselected


def cases_on(
    target: Target, selection: Selection, scenarios: Sequence[Scenario]
) -> list[ScenarioCase]:
    """The cases selected; where the machine is of one kernel, those that expect something of it."""
    cases = selection_for(target, selection).cases(scenarios)
    if target.kernel is None or selection.kernels:
        return cases
    return [case for case in cases if case.expectation is not None]


def run_cases(
    cases: Sequence[ScenarioCase],
    *,
    jobs: int = 1,
    exitfirst: bool = False,
    traces: bool = True,
    on: Target | None = None,
    cluster: str | None = None,
    timeout: float | None = None,
    follow: bool = False,
) -> Run:
    """Runs ``cases`` until the end, Ctrl-C, or with ``exitfirst`` the first failure.

    The results are in the order of the cases; without ``traces`` they have none. Raises
    :class:`vcpu_scenario.cli.status.NoMachine` where a real machine fails altogether.
    """
    start = perf_counter()
    stop = Stop()
    if cluster is None:
        watch = Follower(follow=follow) if jobs <= 1 else None
        coming = results_of(cases, jobs, stop, traces=traces, on=on, timeout=timeout, watch=watch)
    else:
        coming = results_on(cluster, cases, lambda: bool(stop), traces=traces)
    with closing(coming):
        packed, interrupted = collect(
            (pack(result) for result in coming),
            len(cases),
            stop,
            lambda one: exitfirst and one.result.verdict.is_bad,
        )
    return Run(Kept(packed), len(cases), perf_counter() - start, interrupted)


def results_of(
    cases: Sequence[ScenarioCase],
    jobs: int,
    stop: Stop,
    *,
    traces: bool,
    on: Target | None = None,
    timeout: float | None = None,
    watch: Watch | None = None,
) -> Generator[Result, None, None]:
    """Runs each case, in ``jobs`` processes or, with 0, in this one; by default emulated.

    Raises :class:`vcpu_scenario.cli.status.NoMachine` where a real machine fails at once; one
    that fails later takes the case at hand.

    What ends a process ends the case in it with an error, and no other. A real machine that one
    process drives is driven from this one, which loses nothing by it.
    """
    if not cases:
        return
    from vcpu_scenario.running import pool as workers

    real = on is not None and on.real
    attempt = _attempt(cases, on, watch)

    def work(number: int) -> tuple[Any, ...] | NoMachine:
        try:
            with failing():
                return attempt(number).parts(traces=traces)
        except NoMachine as failed:
            return failed

    def patience(number: int) -> float:
        limits = cases[number].case.limits
        allowed = min(limits.exits * limits.seconds, LONGEST - _PATIENCE)
        return timeout or allowed + (_BOOT if real else _PATIENCE)

    any_done = False
    processes = 0 if real and jobs == 1 else jobs
    for number, found in workers.results(work, len(cases), processes, stop=stop, patience=patience):
        case = cases[number]
        if isinstance(found, NoMachine):
            if not any_done:
                raise found
            yield Result(case, Verdict.ERROR, reason=str(found))
        elif isinstance(found, Lost):
            yield Result(case, Verdict.ERROR, reason=found.reason, detail=found.detail)
        else:
            yield Result(case, *found)
        any_done = True


def _attempt(
    cases: Sequence[ScenarioCase], on: Target | None, watch: Watch | None
) -> Callable[[int], Result]:
    from vcpu_scenario.running import execute
    from vcpu_scenario.running.targets import Emulated

    # As each case's kernel, which those selected are for.
    target = on if on is not None and on.real else Emulated()
    target.watch = watch
    return lambda number: execute.execute_on(cases[number], target)
