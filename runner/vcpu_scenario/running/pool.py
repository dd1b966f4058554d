"""Work in processes of its own: what kills one takes nothing along but its own piece of work.

Pieces of work are numbered. A worker is forked with everything that is loaded, so only numbers
go in and only results come out; it gets its numbers in chunks and answers each by itself. One
that dies or falls silent loses the piece it was at: the rest of its chunk goes to another.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import select
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from time import monotonic
from typing import IO, Any, Final, Generic, TypeVar

from vcpu_scenario.host.signals import SIGNALS
from vcpu_scenario.running.order import in_order
from vcpu_scenario.running.worker import CHUNK, HEAD, Lost, Stop, serve

Result = TypeVar("Result")

_LARGEST_CHUNK: Final = 32
_TICK: Final = 0.1
"""Seconds between two looks at what no worker tells."""

_DETAIL: Final = 4096
"""Bytes of a worker's last words that are kept."""

__all__ = ["Lost", "Stop", "results"]


def results(
    work: Callable[[int], Result],
    count: int,
    processes: int,
    *,
    stop: Stop,
    patience: Callable[[int], float],
) -> Generator[tuple[int, Result | Lost], None, None]:
    """Yield (number, ``work(number)``) for 0 to ``count`` - 1, in order.

    With ``processes`` 0 all is done in this process, which then dies with what kills it. A piece
    that takes more than ``patience`` seconds is given up. Once ``stop`` is set what is done is
    yielded still, and what is not is left out. Raises OSError where no process can be made.
    """
    if not processes:
        return _here(work, count, stop)
    return in_order(_Workers(work, count, processes, stop, patience).results())


def _here(
    work: Callable[[int], Result], count: int, stop: Stop
) -> Generator[tuple[int, Result | Lost], None, None]:
    for number in range(count):
        if stop:
            return
        yield number, work(number)


class _Worker:
    """The parent's side of a worker."""

    def __init__(self, pid: int, orders: int, answers: int, words: IO[bytes]) -> None:
        self.pid = pid
        self.orders = orders
        self.answers = answers
        self.words = words
        self.numbers = deque[int]()
        """What it was told to do and has not answered."""
        self.busy = False
        self.quiet = 0.0
        """Seconds for which it has been at its piece."""
        self.received = bytearray()

    def messages(self) -> Iterator[Any]:
        data = self.received
        while len(data) >= HEAD.size:
            (length,) = HEAD.unpack_from(data)
            end = HEAD.size + length
            if len(data) < end:
                return
            message = pickle.loads(memoryview(data)[HEAD.size : end])
            del data[:end]
            yield message

    def last_words(self) -> str:
        """The end of what it wrote to its standard error."""
        self.words.seek(0, io.SEEK_END)
        self.words.seek(max(0, self.words.tell() - _DETAIL))
        return self.words.read().decode(errors="replace").strip()

    def close(self) -> None:
        os.close(self.orders)
        os.close(self.answers)
        self.words.close()


class _Workers(Generic[Result]):
    def __init__(
        self,
        work: Callable[[int], Result],
        count: int,
        processes: int,
        stop: Stop,
        patience: Callable[[int], float],
    ) -> None:
        self._work = work
        self._stop = stop
        self._patience = patience
        self._processes = min(processes, count)
        self._waiting = deque(range(count))
        self._workers: list[_Worker] = []

    def results(self) -> Iterator[tuple[int, Result | Lost]]:
        last = monotonic()
        try:
            while self._hand_out():
                answers = {worker.answers: worker for worker in self._workers if worker.busy}
                ready = select.select(answers, (), (), _TICK)[0]
                # A process that is suspended must not take all that time for its workers'.
                now = monotonic()
                passed, last = min(now - last, 2 * _TICK), now
                for answer in ready:
                    yield from self._receive(answers[answer])
                for worker in [worker for worker in self._workers if worker.busy]:
                    yield from self._wait_longer(worker, passed)
        finally:
            self._end()

    def _hand_out(self) -> bool:
        """Give each idle worker a chunk. Return whether there is anything to wait for."""
        idle = [worker for worker in self._workers if not worker.busy]
        while self._waiting and not self._stop:
            if idle:
                worker = idle.pop()
            elif len(self._workers) < self._processes:
                try:
                    worker = self._fork()
                except OSError:
                    if not self._workers:
                        raise
                    self._processes = len(self._workers)
                    break
            else:
                break
            self._give(worker)
        return any(worker.busy for worker in self._workers)

    def _give(self, worker: _Worker) -> None:
        waiting = self._waiting
        share = len(waiting) // (4 * self._processes)
        size = min(max(share, 1), _LARGEST_CHUNK, len(waiting))
        first = waiting.popleft()
        worker.numbers.append(first)
        while len(worker.numbers) < size and waiting[0] == worker.numbers[-1] + 1:
            worker.numbers.append(waiting.popleft())
        worker.busy = True
        worker.quiet = 0.0
        # One that died while it was idle is found out when its answers end.
        with contextlib.suppress(BrokenPipeError):
            os.write(worker.orders, CHUNK.pack(first, worker.numbers[-1] + 1))

    def _receive(self, worker: _Worker) -> Iterator[tuple[int, Result | Lost]]:
        data = os.read(worker.answers, 1 << 18)
        if not data:
            yield from self._bury(worker)
            return
        worker.received += data
        for message in worker.messages():
            if message is None:
                worker.busy = False
                worker.numbers.clear()
            else:
                worker.quiet = 0.0
                yield worker.numbers.popleft(), message[0]

    def _wait_longer(self, worker: _Worker, passed: float) -> Iterator[tuple[int, Result | Lost]]:
        worker.quiet += passed
        if worker.numbers and worker.quiet > self._patience(worker.numbers[0]):
            os.kill(worker.pid, signal.SIGKILL)
            yield from self._bury(worker, f"it gave no result for {worker.quiet:.0f} seconds")

    def _bury(self, worker: _Worker, why: str = "") -> Iterator[tuple[int, Result | Lost]]:
        """What a worker that died was at is lost; what it had still to do is done by another."""
        self._workers.remove(worker)
        status = os.waitpid(worker.pid, 0)[1]
        words = worker.last_words()
        worker.close()
        lost, *left = worker.numbers or (None,)
        self._waiting.extendleft(reversed(left))
        if lost is not None:
            yield lost, Lost(_why_died(status, words, why), words)

    def _fork(self) -> _Worker:
        """A signal that comes meanwhile waits: it must not end in both processes."""
        held = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            worker = self._forked()
            self._workers.append(worker)
            return worker
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)

    def _forked(self) -> _Worker:
        _occupy_standard_streams()
        their_orders, orders = os.pipe()
        answers, their_answers = os.pipe()
        words = tempfile.TemporaryFile()  # noqa: SIM115  closed with the worker
        # The thread that forked a worker may be gone before the program is.
        mortal = threading.current_thread() is not threading.main_thread()
        parent = 0 if mortal else os.getpid()
        try:
            pid = os.fork()
        except OSError:
            for end in (their_orders, orders, answers, their_answers):
                os.close(end)
            raise
        if not pid:
            # An end that stays open there would hide from others that this process is gone.
            mine = [orders, answers]
            for other in self._workers:
                mine += other.orders, other.answers
            serve(self._work, self._stop, their_orders, their_answers, words, mine, parent)
        os.close(their_orders)
        os.close(their_answers)
        return _Worker(pid, orders, answers, words)

    def _end(self) -> None:
        for worker in self._workers:
            if worker.busy:
                os.kill(worker.pid, signal.SIGKILL)
            worker.close()
        for worker in self._workers:
            os.waitpid(worker.pid, 0)
        self._workers.clear()


def _occupy_standard_streams() -> None:
    """Pipes must not get the numbers of standard streams that were closed."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)


def _why_died(status: int, words: str, why: str) -> str:
    if why:
        return f"the case was ended: {why}"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
        how = f"the process that ran the case was killed by {name}"
    else:
        how = f"the process that ran the case ended with status {os.waitstatus_to_exitcode(status)}"
    last = words.splitlines()[-1].strip() if words else ""
    return f"{how}: {last}" if last else how
