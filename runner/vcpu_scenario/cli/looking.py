"""The commands that show what KVM does: explain, history, stops, kernels, debug."""

from enum import StrEnum
from typing import Annotated

import typer

from vcpu_scenario.cli import complete
from vcpu_scenario.cli.application import subcommand
from vcpu_scenario.cli.arguments import (
    Format,
    FormatOption,
    Hosts,
    Keyword,
    OneScenario,
    OnlyKernels,
    Output,
    RequiredPaths,
    Vmms,
    kernel_option,
    machine_option,
    option,
    selection,
    vmm_option,
)
from vcpu_scenario.cli.machines import LabArguments
from vcpu_scenario.cli.status import Status


@subcommand()
def explain(
    path: OneScenario,
    kernel: Annotated[
        list[str] | None,
        kernel_option(
            "Run on this release, or on the known ones in a range such as '>=6.1'. Repeatable."
            " Default: the newest for which the scenario states an expectation."
        ),
    ] = None,
    vmm: Vmms = None,
    *,
    hosts: Hosts,
    keyword: Keyword = "",
) -> Status:
    """Show a run as a ladder VMM | KVM | guest.

    Each rung is an entry and the exit that ended it, with the instructions executed, the decoded
    syndrome, and the rule behind the exit. Without --kernel: the newest kernel for which the
    scenario states an expectation.
    """
    from vcpu_scenario.cli import explain as command

    return command.explain(path, selection(kernel, vmm, keyword, hosts=hosts))


class HistoryFormat(StrEnum):
    """Forms of a history."""

    text = "text"
    markdown = "markdown"
    json = "json"


@subcommand()
def history(
    path: OneScenario,
    kernel: OnlyKernels = None,
    vmm: Annotated[
        list[str] | None,
        vmm_option("Run with this VMM personality. Repeatable. Default: the scenario's first."),
    ] = None,
    *,
    hosts: Hosts,
    keyword: Keyword = "",
    format_: Annotated[
        HistoryFormat, option("--format FORM", "text, markdown or json.")
    ] = HistoryFormat.text,
    output: Output = None,
) -> Status:
    """Show how the exits of a scenario changed between releases.

    Groups kernels that give the same exits. Each group shows its differences to the one before it,
    with the rules and commits that cause them.
    """
    from vcpu_scenario.cli import history as command

    which = selection(kernel, vmm, keyword, hosts=hosts)
    return command.history(path, which, format_.value, output)


class StopsFormat(StrEnum):
    """Forms of a table of stops."""

    text = "text"
    json = "json"
    html = "html"


@subcommand()
def stops(
    paths: RequiredPaths,
    kernel: OnlyKernels = None,
    vmm: Annotated[
        list[str] | None,
        option("--vmm V", "Only this VMM. Repeatable. Default: all.", complete.debugged),
    ] = None,
    keyword: Keyword = "",
    format_: Annotated[
        StopsFormat, option("--format FORM", "text, json or html.")
    ] = StopsFormat.text,
    output: Output = None,
    machine: Annotated[
        str, machine_option(" The VMMs then act on real KVM; a lab carries QEMU itself.")
    ] = "emulated",
    acted: Annotated[
        bool, option("--acted", "In a lab, QEMU as it is acted, in place of QEMU itself.")
    ] = False,
    *,
    hosts: Hosts,
    lab: LabArguments,
) -> Status:
    """Show what a debugger is told that steps a scenario, by kernel and VMM.

    Which instructions each VMM tells of, skips, tells of twice, and where the guest is lost.
    Kernels under which all VMMs tell the same are one row. Where a scenario asks for breakpoints or
    watchpoints and for no step, those are set and the guest is continued.
    """
    from vcpu_scenario.cli import stops as command

    which = selection(kernel, None, keyword, hosts=hosts)
    return command.stops(paths, which, vmm or [], format_.value, output, machine, lab, acted=acted)


@subcommand(reads_files=False)
def kernels(
    format_: FormatOption = Format.text,
) -> Status:
    """Print the table of kernels and their rules."""
    from vcpu_scenario.cli import kernels as command

    return command.kernels(format_.value)


@subcommand("debug")
def debug_(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE[::CASE]",
            help="A scenario, and one of its cases by its parameters.",
            autocompletion=complete.paths,
        ),
    ],
    kernel: Annotated[
        str | None, kernel_option("Behave as KVM of this release. Default: the newest known.")
    ] = None,
    vmm: Annotated[
        str,
        option(
            "--vmm V",
            "See the guest as the debugger of this VMM does. Default: qemu.",
            complete.debugged,
            show_default=False,
        ),
    ] = "qemu",
    *,
    hosts: Hosts,
    gdb: Annotated[
        bool, option("--gdb", "Start gdb (gdb-multiarch, or $GDB) with symbols and lines.")
    ] = False,
    port: Annotated[
        int | None,
        option(
            "--port N",
            "Serve this port of the loopback interface, 0 for any. Default: 1234.",
            min=0,
            max=65535,
        ),
    ] = None,
    socket: Annotated[str | None, option("--socket PATH", "Serve a Unix socket.")] = None,
    stdio: Annotated[
        bool, option("--stdio", "Serve the standard streams: target remote | ...")
    ] = False,
    elf: Annotated[
        str | None, option("--elf FILE", "Write the guest with symbols and lines.")
    ] = None,
    strict: Annotated[
        bool, option("--strict", "Offer only the packets that the VMM's own stub has.")
    ] = False,
) -> Status:
    """Serve a scenario to a debugger, through a VMM's eyes.

    The guest is stopped before its first instruction. What the scenario asks of guest debug is left
    to the debugger. `monitor help` says what the debugger can ask besides.
    """
    from vcpu_scenario.cli import debug as command

    where = command.Where(port, socket, stdio, gdb)
    return command.debug(file, kernel, vmm, where, hosts=hosts.asked(), strict=strict, elf=elf)
