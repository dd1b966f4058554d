"""Cases in batches on any executor of :mod:`concurrent.futures`: threads, processes, a cluster.

A batch carries all that its cases need, so a worker needs this package and nothing else; what
comes back goes with the case that was sent. A batch that is lost is done again case by case, so
that one that takes its worker along is known, and is lost alone.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from msgspec.structs import replace

from vcpu_scenario.host.package import FOLDER, VERSION
from vcpu_scenario.running.carriers import Carrier, carrier
from vcpu_scenario.running.order import in_order
from vcpu_scenario.verdict.result import Result, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from vcpu_scenario.language import ScenarioCase
    from vcpu_scenario.running.targets import Create

LARGEST: Final = 256
"""Cases in a batch at most: some 0.2 s of work, beside which the sending costs little."""

_BATCHES: Final = 64
"""Fewer cases than fill these make smaller batches, so that all workers get some."""

_TICK: Final = 0.5
"""Seconds between two questions whether anything can still come."""

Outcome: TypeAlias = tuple[Any, ...]
"""The fields of a result after its case, in order."""


class OtherVersion(Exception):
    """A worker has another version of this package, whose results may differ."""


def run_on(
    executor: Executor,
    cases: Sequence[ScenarioCase],
    create: Create | None = None,
    *,
    size: int | None = None,
    traces: bool = True,
    gone: Callable[[], str] = lambda: "",
    stop: Callable[[], bool] = lambda: False,
) -> Generator[Result, None, None]:
    """Run ``cases`` on ``executor`` and yield their results in the order of the cases.

    ``create`` makes the machines, by default emulated ones; it has to be one that a worker can
    import. ``size`` is the number of cases in a batch, chosen by their number if None. Without
    ``traces`` the results have none. ``gone`` is asked now and then why nothing will come any
    more, and says nothing while something may. Once ``stop`` says so, what is done is yielded
    still, and what is not is left out.

    A case that is lost with its worker gives ``error``; the others are still run, if the
    executor still takes work. Work that has not begun is cancelled when the generator is closed.
    """
    way = carrier(executor)
    batches = _Batches(way, cases, create, traces)
    most = size or min(LARGEST, max(1, len(cases) // _BATCHES))
    batches.waiting.extend(
        range(first, min(first + most, len(cases))) for first in range(0, len(cases), most)
    )

    def coming() -> Iterator[tuple[int, Result]]:
        while not stop() and batches.submit():
            yield from batches.next_results(gone).items()

    try:
        yield from (result for _, result in in_order(coming()))
    finally:
        way.close()


class _Batches:
    def __init__(
        self,
        way: Carrier,
        cases: Sequence[ScenarioCase],
        create: Create | None,
        traces: bool,
    ) -> None:
        self.way = way
        self.cases = cases
        self.create = create
        self.traces = traces
        self.waiting = deque[range]()
        self.under_way: dict[Future[Any], range] = {}
        self.refused: list[tuple[range, Exception]] = []

    def submit(self) -> bool:
        """Submit as many batches as may be in flight. Return whether there is one to wait for."""
        while self.waiting and len(self.under_way) < self.way.ahead:
            numbers = self.waiting.popleft()
            batch = _pack([self.cases[number] for number in numbers], self.create)
            try:
                future = self.way.send(run_batch, version(), batch, self.traces)
            except Exception as error:  # shut down, broken, a full disk: each has its own kind
                self.refused.append((numbers, error))
            else:
                self.under_way[future] = numbers
        return bool(self.under_way or self.refused)

    def next_results(self, gone: Callable[[], str]) -> dict[int, Result]:
        """The results that come next, by the numbers of their cases; none after a while."""
        results: dict[int, Result] = {}
        for numbers, error in self.refused:
            results |= self._lost(numbers, _words(error))
        self.refused.clear()
        finished = wait(self.under_way, _TICK, FIRST_COMPLETED).done if self.under_way else set()
        for future in finished:
            results |= self._receive(future, self.under_way.pop(future), gone)
        if not finished and (why := gone()):
            for future, numbers in self.under_way.items():
                future.cancel()
                results |= self._lost(numbers, why)
            self.under_way.clear()
        return results

    def _receive(
        self, future: Future[Any], numbers: range, gone: Callable[[], str]
    ) -> dict[int, Result]:
        try:
            outcomes: list[Outcome] = pickle.loads(self.way.receive(future))
        except OtherVersion:
            raise
        except (Exception, CancelledError) as error:
            if len(numbers) == 1:
                why = gone() if isinstance(error, CancelledError) else ""
                return self._lost(numbers, why or _words(error))
            self.waiting.extendleft(range(number, number + 1) for number in reversed(numbers))
            return {}
        return {
            number: Result(self.cases[number], *outcome)
            for number, outcome in zip(numbers, outcomes, strict=True)
        }

    def _lost(self, numbers: range, why: str) -> dict[int, Result]:
        reason = f"the executor lost the case: {why}"
        cases = ((number, self.cases[number]) for number in numbers)
        return {number: Result(case, Verdict.ERROR, reason=reason) for number, case in cases}


@cache
def version() -> str:
    """The version of this package with a digest of its code, such as ``0.1.0+1f0c...``.

    Two checkouts of one version may do different things.
    """
    digest = sha256()
    for file in sorted(FOLDER.rglob("*.py")):
        digest.update(file.relative_to(FOLDER).as_posix().encode())
        digest.update(sha256(file.read_bytes()).digest())
    return f"{VERSION}+{digest.hexdigest()[:12]}"


def run_batch(wanted: str, batch: bytes, traces: bool) -> bytes:
    """What a worker does: runs ``batch`` for a caller of version ``wanted``.

    Both ways go as bytes, which an executor need not look into.
    """
    if wanted != version():
        raise OtherVersion(
            f"a worker has version {version()} of vcpu-scenario, and this is {wanted}"
        )
    from vcpu_scenario.machine.emulated.machine import create as emulated
    from vcpu_scenario.running.execute import execute

    cases, create = pickle.loads(batch)
    outcomes = [execute(case, create or emulated).parts(traces=traces) for case in cases]
    return pickle.dumps(outcomes, pickle.HIGHEST_PROTOCOL)


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(": ")


def _pack(cases: Sequence[ScenarioCase], create: Create | None) -> bytes:
    """The cases as they travel: without the other cases of their scenarios, and in plain dicts."""
    scenario = _once(lambda scenario: replace(scenario, combinations=(), sources=()))
    mapping = _once(dict)
    luggage = [
        replace(
            case,
            scenario=scenario(case.scenario),
            params=mapping(case.params),
            symbols=mapping(case.symbols),
            lines=mapping(case.lines),
        )
        for case in cases
    ]
    return pickle.dumps((luggage, create), pickle.HIGHEST_PROTOCOL)


def _once(copy: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``copy``, but what cases share is shared by their copies, and so is pickled once."""
    copies: dict[int, Any] = {}

    def shared(original: Any) -> Any:
        if id(original) not in copies:
            copies[id(original)] = copy(original)
        return copies[id(original)]

    return shared
