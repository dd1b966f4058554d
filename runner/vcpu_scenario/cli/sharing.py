"""The commands for whoever is to be convinced without this tool: export."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from vcpu_scenario.cli import complete
from vcpu_scenario.cli.app import Colour, ColourOption, Debug, Keyword, Vmms, app
from vcpu_scenario.cli.status import Status


class ExportFormat(StrEnum):
    """What to make."""

    c = "c"


@app.command()
def export(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH[::CASE]...",
            help="Scenarios, or folders of them; CASE is an id as `list` prints it, or its end from"
            " the parameters on.",
            autocompletion=complete.paths,
        ),
    ],
    to: Annotated[
        ExportFormat,
        typer.Option("--to", metavar="FORM", help="c, one file that needs only libc."),
    ] = ExportFormat.c,
    kernel: Annotated[
        list[str] | None,
        typer.Option(
            "--kernel",
            metavar="K",
            help="Expect what this release does, whatever kernel runs. Repeatable, a program for"
            " each. Default: the program chooses by `uname -r`.",
            autocompletion=complete.kernels,
        ),
    ] = None,
    vmm: Vmms = None,
    keyword: Keyword = "",
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            metavar="FILE|FOLDER/",
            help="Write one program to FILE, any number to files in FOLDER. Default: stdout.",
        ),
    ] = None,
    words: Annotated[
        bool, typer.Option("--words", help="Write the guest as machine words, not as assembly.")
    ] = False,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Write scenarios as C programs that use /dev/kvm alone.

    Each has one combination of parameters and one VMM. Exit status of a program: 0 all as expected,
    1 not as expected, 4 skipped. A scenario that C cannot express is refused with the reason, and
    the exit status is 4.
    """
    from vcpu_scenario.cli import export as command

    return command.export(paths, to.value, kernel or (), vmm or (), keyword, output, words=words)
