"""Processes that work for the server, so that no keystroke waits for what a scenario does.

Each does one job at a time. A job that is cancelled, or takes longer than it may, ends its process;
the next job has a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from typing import Any, Final

from vcpu_scenario.language.permission import granted
from vcpu_scenario.lsp.worker import LENGTH, packed

_GRACE: Final = 1.0
"""Seconds that a process has to end what it has started, an assembler."""

_TURNS: Final = 5
"""Of the event loop, in which it comes to know that a pipe was closed."""


class TookTooLong(Exception):
    """A job that did not end within its seconds."""


class Failed(Exception):
    """A job that could not be done, in words."""


class Worker:
    """A process for jobs of one kind."""

    def __init__(self) -> None:
        self._allowed = granted()
        self._process: Process | None = None
        self._free = asyncio.Lock()

    async def ask(self, job: str, *arguments: Any, seconds: float) -> Any:
        """The answer to a job of :data:`vcpu_scenario.lsp.worker.JOBS`.

        Raises :class:`TookTooLong` and :class:`Failed`.
        """
        async with self._free:
            try:
                async with asyncio.timeout(seconds):
                    done, answer = await self._answer(packed((job, arguments)))
            except TimeoutError:
                await self._end()
                raise TookTooLong(f"it took longer than {seconds:.0f} s") from None
            except (OSError, asyncio.IncompleteReadError) as error:
                await self._end()
                raise Failed(f"the process of the job ended: {error}") from None
            except BaseException:
                await self._end()
                raise
        if not done:
            raise Failed(answer)
        return answer

    async def start(self) -> Process:
        """Its process, which is started if there is none."""
        process = self._process
        if process is None or await _has_ended(process):
            # -P: the folder that an editor is started in may be a stranger's.
            process = self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "vcpu_scenario.lsp.worker"),
                *self._allowed,
                stdin=PIPE,
                stdout=PIPE,
            )
        return process

    async def _answer(self, message: bytes) -> tuple[bool, Any]:
        process = await self.start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(message)
        await process.stdin.drain()
        head = await process.stdout.readexactly(LENGTH.size)
        answer: tuple[bool, Any] = pickle.loads(
            await process.stdout.readexactly(LENGTH.unpack(head)[0])
        )
        return answer

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await asyncio.shield(asyncio.create_task(_ended(process)))

    async def close(self) -> None:
        """Ends the process."""
        await self._end()


async def _has_ended(process: Process) -> bool:
    """Whether it ended while it was idle. The loop is let see it: what was asked of it would be
    lost."""
    assert process.stdout is not None
    for _ in range(_TURNS):
        if process.returncode is not None or process.stdout.at_eof():
            return True
        await asyncio.sleep(0)
    return False


async def _ended(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_GRACE):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
