"""``scenario kernels``: the table of releases and rules."""

from __future__ import annotations

from vcpu_scenario.cli.output import painted, say, width
from vcpu_scenario.cli.status import Status


def kernels(report: str) -> Status:
    """Prints the table as text or JSON."""
    from vcpu_scenario.report.kernels import document, table

    if report == "json":
        say(document())
    else:
        say(painted(table(width())))
    return Status.OK
