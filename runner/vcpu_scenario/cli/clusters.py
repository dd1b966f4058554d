"""``--cluster``: the cases of a run on a cluster of Dask."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING

from vcpu_scenario.errors import UsageError
from vcpu_scenario.verdict.result import Result

if TYPE_CHECKING:
    from vcpu_scenario.language import ScenarioCase


def results_on(
    address: str, cases: Sequence[ScenarioCase], stop: Callable[[], bool], *, traces: bool
) -> Generator[Result, None, None]:
    """Runs ``cases`` on the cluster whose scheduler is at ``address``, until ``stop``.

    The results are in the order of the cases. Raises :class:`UsageError` for a cluster that
    cannot be used.
    """
    if not cases:
        return
    from vcpu_scenario.running.batch import OtherVersion, run_on
    from vcpu_scenario.running.cluster import ClusterError, cluster

    try:
        with cluster(address) as dask:
            yield from run_on(dask.executor, cases, traces=traces, gone=dask.gone, stop=stop)
    except (ClusterError, OtherVersion) as error:
        raise UsageError(f"--cluster: {error}") from None
