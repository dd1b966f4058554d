"""The process in which scenarios are checked, formatted and run for a language server.

``python -P -m vcpu_scenario.lsp.worker``: takes jobs on standard input and gives their answers on
standard output, each a length and a pickle, until the input ends. The server ends it with a signal
where an answer has become needless or takes too long; an assembler that runs then ends with it.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final

from vcpu_scenario.host import signals
from vcpu_scenario.language.permission import grant
from vcpu_scenario.lsp import jobs

LENGTH: Final = struct.Struct("<I")

JOBS: Final[Mapping[str, Callable[..., Any]]] = {
    "check": jobs.check,
    "format": jobs.fmt,
    "releases": jobs.releases,
    "run": jobs.run,
}
"""What can be asked for, each with the text first and its path second."""


_GRACE: Final = 1.0
"""Seconds to end what was started, an assembler, once the server is gone."""


def main() -> None:
    """Does one job after the other; its arguments are folders that scenarios may name files in."""
    signals.take()
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(source, waiting), daemon=True).start()
    grant(sys.argv[1:])
    jobs.warm()
    while True:
        name, arguments = pickle.loads(waiting.get())
        sink.write(packed(_done(name, arguments)))
        sink.flush()


def _listen(source: BinaryIO, waiting: queue.SimpleQueue[bytes]) -> None:
    """Takes jobs until the server is gone, and then ends the process, whatever it is at."""
    while (job := _read(source)) is not None:
        waiting.put(job)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(2)


def packed(thing: Any) -> bytes:
    """``thing`` as either end sends it."""
    body = pickle.dumps(thing)
    return LENGTH.pack(len(body)) + body


def _read(source: BinaryIO) -> bytes | None:
    head = source.read(LENGTH.size)
    return source.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else None


def _done(name: str, arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    """Whether the job was done, and its answer or what went wrong."""
    try:
        return True, JOBS[name](*arguments)
    except Exception as error:  # one text that cannot be worked on must not take the others along
        if signals.is_interruption(error):
            raise
        return False, f"{type(error).__name__}: {error}"[:500]


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(2)
