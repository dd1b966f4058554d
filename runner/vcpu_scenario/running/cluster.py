"""A cluster of Dask (``distributed``) as an executor for batches of cases.

Needs the extra ``cluster``; the workers need this package in the same version. A case holds its
worker's interpreter, so a worker process with one thread for each processor is what runs most.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from vcpu_scenario.running.batch import version

if TYPE_CHECKING:
    from distributed import Client

PATIENCE: Final = 30.0
"""Seconds to wait for a scheduler, for a first worker, and for a worker once all are gone."""


class ClusterError(Exception):
    """The cluster cannot be used: nobody answers, it has no workers, or not those it needs."""


class Cluster(Struct, frozen=True):
    """What :func:`vcpu_scenario.running.batch.run_on` needs of a cluster: ``executor`` and
    ``gone``.

    The scheduler does the work of a worker that died again on another one.
    """

    executor: Executor
    gone: Callable[[], str]


@contextmanager
def cluster(address: str, patience: float | None = None) -> Iterator[Cluster]:
    """The cluster whose scheduler is at ``address``, ``tcp://host:8786``.

    Raises :class:`ClusterError` where it cannot be used within ``patience`` seconds, by default
    :data:`PATIENCE`.
    """
    patience = PATIENCE if patience is None else patience
    with _quiet():
        client = _connect(address, patience)
        try:
            _check_workers(client, address, patience)
            yield Cluster(client.get_executor(pure=False), _watch(client, address, patience))
        finally:
            client.close(timeout=2)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Dask's log of workers and schedulers that come and go: the results show what
    matters."""
    loggers = _loggers_of_dask()
    asyncio = logging.getLogger("asyncio")
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    asyncio.addFilter(_is_not_of_dask)
    try:
        yield
    finally:
        asyncio.removeFilter(_is_not_of_dask)
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _loggers_of_dask() -> list[logging.Logger]:
    """Dask gives several of its loggers levels of their own when it is imported."""
    with suppress(ImportError):  # told where a client is to be made
        import distributed  # noqa: F401
    known = [name for name in logging.root.manager.loggerDict if name.startswith("distributed.")]
    return [logging.getLogger(name) for name in ("distributed", *known, "tornado.application")]


def _is_not_of_dask(record: logging.LogRecord) -> bool:
    trace = record.exc_info[2] if record.exc_info else None
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = trace.tb_frame.f_code.co_filename if trace is not None else ""
    return not any(name in f"{record.getMessage()}{where}" for name in ("distributed", "tornado"))


def _connect(address: str, patience: float) -> Client:
    try:
        from distributed import Client
    except ImportError as error:
        raise ClusterError(
            f"a cluster needs Dask: pip install 'vcpu-scenario[cluster]' ({error})"
        ) from None
    deadline = monotonic() + patience
    while True:
        try:
            return Client(address, timeout=patience, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise ClusterError(f"no scheduler answers at {address}: {_first_line(error)}") from None
        except AssertionError:
            # Dask gives the thread of its loop ten seconds to start, and asserts that it has.
            if monotonic() >= deadline:
                raise ClusterError("Dask does not start: the machine is too busy") from None


def _check_workers(client: Client, address: str, patience: float) -> None:
    from distributed import TimeoutError as TookTooLong

    try:
        client.wait_for_workers(1, timeout=patience)
    except TookTooLong:
        raise ClusterError(f"the cluster at {address} has no workers") from None
    try:
        versions = client.run(_version_there)
    except Exception as error:  # whatever goes wrong there, usually an import
        raise ClusterError(
            f"the workers of {address} cannot run cases, for which they need vcpu-scenario"
            f" {version()}: {_first_line(error)}"
        ) from None
    for worker, found in versions.items():
        if found != version():
            raise ClusterError(
                f"the worker {worker} has version {found} of vcpu-scenario, and this is {version()}"
            )


def _version_there() -> str:

    return version()


def _watch(client: Client, address: str, patience: float) -> Callable[[], str]:
    """Return why no more results will come, once all workers have been gone for ``patience``
    seconds."""
    alone_since: list[float] = []

    def gone() -> str:
        if client.status in ("closed", "closing"):
            return f"the connection to {address} ended"
        if _workers(client):
            alone_since.clear()
            return ""
        alone_since[:] = alone_since or [monotonic()]
        if monotonic() - alone_since[0] < patience:
            return ""
        return f"the cluster at {address} has had no workers for {patience:.0f} seconds"

    return gone


def _workers(client: Client) -> dict[str, Any]:
    try:
        # What the client was told last does not change when the scheduler is gone.
        found: dict[str, Any] = client.nthreads()
    except (OSError, TimeoutError, RuntimeError):
        return {}
    return found


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
