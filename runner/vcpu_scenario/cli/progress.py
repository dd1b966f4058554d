"""A bar on standard error while cases run, if somebody is watching and it takes a while."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from vcpu_scenario.cli.output import is_terminal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PATIENCE: Final = 0.5
"""Seconds before the bar comes: most runs are over by then, without the price of its import."""

_REFRESH: Final = 0.1


class Bar:
    """Counts cases; a context manager that leaves nothing behind on the screen."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self._start = monotonic()
        self._wanted = is_terminal("stderr")
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._next = 0.0

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def advance(self) -> None:
        self.done += 1
        if self._progress is None:
            if not self._wanted or monotonic() - self._start < _PATIENCE:
                return
            self._show()
        now = monotonic()
        if self._progress is not None and self._task is not None:
            due = now >= self._next
            self._next = now + _REFRESH if due else self._next
            self._progress.update(self._task, completed=self.done, refresh=due)

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        self._progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            # A thread that refreshes it could hold a lock just when a worker is forked.
            auto_refresh=False,
        )
        self._task = self._progress.add_task("", total=self.total, completed=self.done)
        self._progress.start()
