"""``scenario kernels``: the table of releases and rules."""

from __future__ import annotations

from runner.cli.options import COMMON
from runner.cli.output import paint, say, wants_colour, width
from runner.cli.status import Status


def kernels(report: str) -> Status:
    """Prints the table as text or JSON."""
    from runner.report.kernels import document, table

    if report == "json":
        say(document())
    else:
        say(paint(table(width()), colour=wants_colour(COMMON.colour, to_file=False)))
    return Status.OK
