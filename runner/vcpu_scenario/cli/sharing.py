"""The commands for whoever is to be convinced without this tool: export, report, import."""

from enum import StrEnum
from typing import Annotated

import typer

from vcpu_scenario.cli import complete
from vcpu_scenario.cli.application import subcommand
from vcpu_scenario.cli.arguments import (
    Keyword,
    OneScenario,
    OnlyKernels,
    Output,
    Vmms,
    kernel_option,
    option,
    selection,
)
from vcpu_scenario.cli.machines import LabArguments
from vcpu_scenario.cli.status import Status


class ExportFormat(StrEnum):
    """What to make."""

    c = "c"
    selftest = "selftest"


@subcommand()
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
        option(
            "--to FORM",
            "c, one file that needs only libc, or selftest, one for the kernel's"
            " tools/testing/selftests/kvm.",
        ),
    ] = ExportFormat.c,
    kernel: Annotated[
        list[str] | None,
        kernel_option(
            "Expect what this release does, whatever kernel runs. Repeatable, a program for"
            " each. Default: the program chooses by `uname -r`."
        ),
    ] = None,
    vmm: Vmms = None,
    keyword: Keyword = "",
    output: Annotated[
        str | None,
        option(
            "--output FILE|FOLDER/",
            "Write one program to FILE, any number to files in FOLDER. Default: stdout.",
        ),
    ] = None,
    words: Annotated[
        bool, option("--words", "Write the guest as machine words, not as assembly.")
    ] = False,
) -> Status:
    """Write scenarios as C programs.

    Each has one combination of parameters and one VMM. Exit status of a program: 0 all as expected,
    1 not as expected, 4 skipped. A scenario that C cannot express is refused with the reason, and
    the exit status is 4.
    """
    from vcpu_scenario.cli import export as command

    return command.export(paths, to.value, kernel or (), vmm or (), keyword, output, words=words)


class MailFormat(StrEnum):
    """Forms of the report."""

    text = "text"
    markdown = "markdown"


@subcommand()
def report(
    path: OneScenario,
    kernel: OnlyKernels = None,
    vmm: Vmms = None,
    keyword: Keyword = "",
    machine: Annotated[
        list[str] | None,
        option(
            "--machine M",
            "Run on this real kernel as well, lab:RELEASE or kvm. Repeatable.",
            complete.machines,
        ),
    ] = None,
    format_: Annotated[
        MailFormat, option("--format FORM", "text, of 72 columns, or markdown.")
    ] = MailFormat.text,
    output: Output = None,
    *,
    lab: LabArguments,
) -> Status:
    """Write a report on a scenario, for a mailing list or a tracker.

    The guest, the verdict on each release, the exits of releases that behave alike, the rules and
    commits that part them, what was run where, and how to repeat it, also as a C program.
    """
    from vcpu_scenario.cli import report as command

    which = selection(kernel, vmm, keyword)
    return command.report(path, which, machine or (), lab, format_.value, output)


@subcommand("import")
def import_(
    trace: Annotated[
        str,
        typer.Argument(
            metavar="TRACE",
            help="What ftrace, trace-cmd report, perf script or strace wrote of a VMM; - for"
            " standard input.",
        ),
    ],
    scenario: Annotated[
        str | None,
        typer.Argument(
            metavar="[SCENARIO]",
            help="Compare the trace with what this scenario gives on the emulated machine.",
            autocompletion=complete.paths,
        ),
    ] = None,
    kernel: Annotated[
        list[str] | None,
        kernel_option(
            "Compare with this release, or with the known ones in a range such as '>=6.1'."
            " Repeatable. Default: every kernel for which the scenario states an expectation."
            " Without a scenario: the release that the draft is for."
        ),
    ] = None,
    vmm: Vmms = None,
    keyword: Keyword = "",
    output: Output = None,
) -> Status:
    """Read a trace from the field: KVM's tracepoints, or strace -e ioctl of a VMM.

    Writes the draft of a scenario with the exits that were seen. With a scenario: the first place
    where the trace and the model part, on each kernel; exit status 0 if they agree on a release of
    each --kernel, or on any without one.
    """
    from vcpu_scenario.cli import importing as command

    return command.import_(trace, scenario, selection(kernel, vmm, keyword), output)
