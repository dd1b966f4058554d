"""The command line: names, options and help. What commands do is in a module of each.

Typer reads the signatures; the commands import what they need when they run, so that
``scenario --help`` does not wait for an emulator nor a run for the help.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from vcpu_scenario.cli import complete
from vcpu_scenario.cli.machines import LabArguments
from vcpu_scenario.cli.options import COMMON
from vcpu_scenario.cli.output import complain
from vcpu_scenario.cli.status import Status
from vcpu_scenario.running.select import Selection


class Format(StrEnum):
    """Forms of output."""

    text = "text"
    json = "json"


class ReportFormat(StrEnum):
    """Forms of the report on a run."""

    text = "text"
    json = "json"
    junit = "junit"
    ktap = "ktap"
    github = "github"
    html = "html"


class HistoryFormat(StrEnum):
    """Forms of a history."""

    text = "text"
    markdown = "markdown"
    json = "json"


class Colour(StrEnum):
    """When to colour."""

    auto = "auto"
    always = "always"
    never = "never"


app = typer.Typer(
    name="scenario",
    help="Run declarative vCPU scenarios against KVM/arm64 of any release.",
    epilog=(
        "Exit status: 0 all as expected, 1 mismatches, 2 interrupted, 3 internal error, "
        "4 usage or an invalid scenario, 5 nothing selected, 6 not modelled."
    ),
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _debug(value: bool) -> None:
    COMMON.debug = COMMON.debug or value


def _colour(value: Colour) -> Colour:
    if value is not Colour.auto:
        COMMON.colour = value.value
    return value


def _assembler() -> str:
    from vcpu_scenario.assembly.assembled import NoAssembler
    from vcpu_scenario.assembly.assemblers import choose

    try:
        return f"assembler: {choose().described}"
    except NoAssembler as none:
        return f"assembler: none; {none}"


def _version(value: bool) -> None:
    if value:
        from vcpu_scenario import __version__
        from vcpu_scenario.cli.output import say

        say(f"scenario {__version__}\n{_assembler()}\n")
        raise typer.Exit


Paths = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATH...",
        help="Scenarios, or folders of them. Default: this folder.",
        autocompletion=complete.paths,
    ),
]
RequiredPaths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH...", help="Scenarios, or folders of them.", autocompletion=complete.paths
    ),
]
Kernels = Annotated[
    list[str] | None,
    typer.Option(
        "--kernel",
        metavar="K",
        help="On this release, or on the known ones in a range such as '>=6.1'. Again for more."
        " Default: every kernel for which a scenario states an expectation.",
        autocompletion=complete.kernels,
    ),
]
Vmms = Annotated[
    list[str] | None,
    typer.Option(
        "--vmm",
        metavar="V",
        help="With this VMM personality. Again for more. Default: all.",
        autocompletion=complete.vmms,
    ),
]
Keyword = Annotated[
    str,
    typer.Option(
        "-k",
        metavar="EXPR",
        help="Cases whose id fits words joined by 'and', 'or', 'not' and parentheses.",
    ),
]
Tags = Annotated[
    list[str] | None,
    typer.Option(
        "--tag",
        metavar="T",
        help="Scenarios with this tag. Again for any of several.",
        autocompletion=complete.tags,
    ),
]
FormatOption = Annotated[
    Format, typer.Option("--format", metavar="text|json", help="Form of the output.")
]
Output = Annotated[
    str | None,
    typer.Option("--output", metavar="FILE", help="Write the report there. Default: stdout."),
]
Jobs = Annotated[
    int,
    typer.Option(
        "-j",
        "--jobs",
        metavar="N",
        min=0,
        help="Run in N processes, 1 by default. 0 runs in this one, for a debugger or a profiler.",
        show_default=False,
    ),
]
ReportFormats = Annotated[
    list[ReportFormat] | None,
    typer.Option(
        "--format",
        metavar="FORM",
        help="Form of the report: text (the default), json, junit, ktap, github or html. Again"
        " for more reports, each with an --output.",
    ),
]
ReportOutputs = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        metavar="FILE",
        help="Write the report there; - is stdout, the default. Of several, the first goes to"
        " the first file, the second to the second.",
    ),
]
KernelImage = Annotated[
    str | None,
    typer.Option("--kernel-image", metavar="FILE", help="A lab boots this instead of Debian's."),
]
Initrd = Annotated[
    str | None,
    typer.Option("--initrd", metavar="FILE", help="A lab's initramfs, with python3 in it."),
]
LabSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--lab",
        metavar="NAME=VALUE",
        help="A choice about a lab: cpu, memory, qemu, append, mirror, boot_seconds, case_seconds"
        " or nice. Again for more.",
    ),
]
Debug = Annotated[
    bool,
    typer.Option("--debug", callback=_debug, help="Show the traceback of an internal error."),
]
ColourOption = Annotated[
    Colour,
    typer.Option(
        "--color",
        metavar="WHEN",
        callback=_colour,
        show_default=False,
        help="auto (the default), always or never.",
    ),
]


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> None:
    pass


@app.command()
def run(
    paths: Paths = None,
    kernel: Kernels = None,
    vmm: Vmms = None,
    keyword: Keyword = "",
    tag: Tags = None,
    format_: ReportFormats = None,
    output: ReportOutputs = None,
    exitfirst: Annotated[
        bool, typer.Option("-x", "--exitfirst", help="Stop at the first failure.")
    ] = False,
    jobs: Jobs = 1,
    machine: Annotated[
        str,
        typer.Option(
            "--machine",
            metavar="M",
            help="emulated (the default), kvm of an arm64 host, or lab:6.12, that kernel under"
            " QEMU. A machine of one kernel runs the cases that expect something of it.",
            show_default=False,
            autocompletion=complete.machines,
        ),
    ] = "emulated",
    kernel_image: KernelImage = None,
    initrd: Initrd = None,
    lab: LabSettings = None,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="K/N",
            help="Only the K-th of N parts, which the cases are shared out to by their ids.",
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="ADDRESS",
            help="On the Dask cluster whose scheduler is there, such as tcp://host:8786, and not"
            " in processes here.",
        ),
    ] = None,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Run cases and say where expectation and reality part."""
    from vcpu_scenario.cli import run as command

    selection = _selection(kernel, vmm, keyword, tag)
    return command.run(
        paths or [],
        selection,
        [form.value for form in format_ or []],
        output or [],
        exitfirst=exitfirst,
        jobs=jobs,
        on=machine,
        lab=LabArguments(kernel_image, initrd, tuple(lab or ())),
        shard=shard,
        cluster=cluster,
    )


@app.command()
def matrix(
    paths: RequiredPaths,
    kernel: Kernels = None,
    vmm: Vmms = None,
    keyword: Keyword = "",
    tag: Tags = None,
    github: Annotated[
        bool, typer.Option("--github", help="As JSON for strategy.matrix; at most 256.")
    ] = False,
    gitlab: Annotated[
        bool, typer.Option("--gitlab", help="As a job for a child pipeline; at most 200.")
    ] = False,
    shards: Annotated[
        int | None,
        typer.Option("--shards", metavar="N", min=1, help="Share the cases out to N shards."),
    ] = None,
    per_shard: Annotated[
        int,
        typer.Option(
            "--per-shard",
            metavar="N",
            min=1,
            help="Without --shards: as many that there are N cases in one.",
        ),
    ] = 20_000,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Print the shards to run in CI.

    One on a line, as run --shard takes it, or in the form of a CI service. Where a case belongs
    is told by a hash of its id; shards without any case are left out.
    """
    from vcpu_scenario.cli import matrix as command

    form = command.form(github=github, gitlab=gitlab)
    return command.matrix(paths, _selection(kernel, vmm, keyword, tag), form, shards, per_shard)


@app.command()
def merge(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="What run --shard K/N --format json wrote."),
    ],
    format_: ReportFormats = None,
    output: ReportOutputs = None,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Join the results of shards.

    Makes any report of the JSON reports on them, and tells if a shard is missing. The scenarios are
    needed where they were: what is reported stands in their lines, and must be true of them still.
    """
    from vcpu_scenario.cli import merge as command

    return command.merge(files, [form.value for form in format_ or []], output or [])


@app.command()
def check(paths: RequiredPaths, color: ColourOption = Colour.auto, debug: Debug = False) -> Status:
    """Validate scenarios without running them."""
    from vcpu_scenario.cli import check as command

    return command.check(paths)


@app.command(name="list")
def list_(
    paths: RequiredPaths,
    kernel: Kernels = None,
    vmm: Vmms = None,
    keyword: Keyword = "",
    tag: Tags = None,
    format_: FormatOption = Format.text,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Print the ids of the cases that a run would run."""
    from vcpu_scenario.cli import check as command

    return command.list_cases(paths, _selection(kernel, vmm, keyword, tag), format_.value)


@app.command()
def explain(
    path: Annotated[
        str,
        typer.Argument(metavar="PATH", help="A scenario.", autocompletion=complete.paths),
    ],
    kernel: Annotated[
        list[str] | None,
        typer.Option(
            "--kernel",
            metavar="K",
            help="On this release, or on the known ones in a range such as '>=6.1'. Again for more."
            " Default: the newest for which the scenario states an expectation.",
            autocompletion=complete.kernels,
        ),
    ] = None,
    vmm: Vmms = None,
    keyword: Keyword = "",
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Show a run as a ladder VMM | KVM | guest.

    Each rung is an entry and the exit that ended it, with the instructions executed, the syndrome
    in words, and the rule that shaped the exit. Without --kernel: the newest kernel for which the
    scenario states an expectation.
    """
    from vcpu_scenario.cli import explain as command

    return command.explain(path, _selection(kernel, vmm, keyword, None))


@app.command()
def conform(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...", help="Recorded traces, as JSON, also compressed with xz."
        ),
    ],
    kernel: Annotated[
        list[str] | None,
        typer.Option(
            "--kernel",
            metavar="K",
            help="As this release, or as those recorded in a range such as '>=6.1'. Again for"
            " more. Default: all that were recorded.",
            autocompletion=complete.kernels,
        ),
    ] = None,
    keyword: Annotated[
        str,
        typer.Option(
            "-k",
            metavar="EXPR",
            help="Jobs whose JOB@KERNEL fits words joined by 'and', 'or', 'not' and parentheses.",
        ),
    ] = "",
    format_: FormatOption = Format.text,
    output: Output = None,
    machine: Annotated[
        str,
        typer.Option(
            "--machine",
            metavar="M",
            help="emulated (the default), kvm of an arm64 host, or lab:6.12, that kernel under"
            " QEMU.",
            show_default=False,
            autocompletion=complete.machines,
        ),
    ] = "emulated",
    kernel_image: KernelImage = None,
    initrd: Initrd = None,
    lab: LabSettings = None,
    jobs: Jobs = 1,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Compare a machine with what real kernels did.

    Each job is run as every kernel that it was recorded on and must give exactly the recorded
    trace: every exit, field and register change, eventfd counts, the coalesced ring. Exit status
    0 only if all are reproduced. On kvm and lab:K those recorded on that release are run.
    """
    from vcpu_scenario.cli import conform as command

    return command.conform(
        files,
        kernel or [],
        keyword,
        format_.value,
        output,
        on=machine,
        lab=LabArguments(kernel_image, initrd, tuple(lab or ())),
        jobs=jobs,
    )


@app.command()
def history(
    path: Annotated[
        str,
        typer.Argument(metavar="PATH", help="A scenario.", autocompletion=complete.paths),
    ],
    kernel: Annotated[
        list[str] | None,
        typer.Option(
            "--kernel",
            metavar="K",
            help="Only these releases, or the known ones in a range such as '>=6.1'. Again for"
            " more. Default: every kernel that the scenario is for.",
            autocompletion=complete.kernels,
        ),
    ] = None,
    vmm: Annotated[
        list[str] | None,
        typer.Option(
            "--vmm",
            metavar="V",
            help="With this VMM personality. Again for more. Default: the scenario's first.",
            autocompletion=complete.vmms,
        ),
    ] = None,
    keyword: Keyword = "",
    format_: Annotated[
        HistoryFormat,
        typer.Option("--format", metavar="FORM", help="text, markdown or json."),
    ] = HistoryFormat.text,
    output: Output = None,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Show how a scenario's exits changed from release to release.

    Kernels that give the same exits are a group; of each group, what differs from the one before
    it, and the rules and commits without which it would not.
    """
    from vcpu_scenario.cli import history as command

    return command.history(path, _selection(kernel, vmm, keyword, None), format_.value, output)


@app.command()
def kernels(
    format_: FormatOption = Format.text,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Print the table of kernels and their rules."""
    from vcpu_scenario.cli import kernels as command

    return command.kernels(format_.value)


@app.command()
def assemble(
    paths: RequiredPaths,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail if anything would change.")
    ] = False,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Keep the assembled words of scenarios.

    They are kept beside the scenarios, which then run without an assembler.
    """
    from vcpu_scenario.cli import assemble as command

    return command.assemble(paths, check)


def _selection(
    kernel: list[str] | None, vmm: list[str] | None, keyword: str, tag: list[str] | None
) -> Selection:
    return Selection(
        tuple(kernel or ()), tuple(vmm or ()), keyword, tuple(tag or ()), complain=complain
    )
