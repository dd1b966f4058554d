"""The command line: names, options and help. What commands do is in a module of each.

Typer reads the signatures; the commands import what they need when they run, so that
``scenario --help`` does not wait for an emulator nor a run for the help.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from vcpu_scenario.cli import complete
from vcpu_scenario.cli.machines import LabArguments
from vcpu_scenario.cli.options import COMMON, hosts_asked
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


class StopsFormat(StrEnum):
    """Forms of a table of stops."""

    text = "text"
    json = "json"
    html = "html"


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


def _allow(folders: list[str] | None) -> list[str] | None:
    from vcpu_scenario.language.permission import grant

    grant(folders or ())
    return folders


def _assembler() -> str:
    from vcpu_scenario.assembly.assembled import NoAssembler
    from vcpu_scenario.assembly.assemblers import choose

    try:
        return f"assembler: {choose().described}"
    except NoAssembler as none:
        return f"assembler: none; {none}"


def _version(value: bool) -> None:
    if value:
        from vcpu_scenario.cli.output import say
        from vcpu_scenario.host.package import VERSION

        say(f"scenario {VERSION}\n{_assembler()}\n")
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
OneScenario = Annotated[
    str, typer.Argument(metavar="PATH", help="A scenario.", autocompletion=complete.paths)
]
Kernels = Annotated[
    list[str] | None,
    typer.Option(
        "--kernel",
        metavar="K",
        help="Run on this release, or on the known ones in a range such as '>=6.1'. Repeatable."
        " Default: every kernel for which a scenario states an expectation.",
        autocompletion=complete.kernels,
    ),
]
OnlyKernels = Annotated[
    list[str] | None,
    typer.Option(
        "--kernel",
        metavar="K",
        help="Only these releases, or the known ones in a range such as '>=6.1'. Repeatable."
        " Default: every kernel that the scenario is for.",
        autocompletion=complete.kernels,
    ),
]
Vmms = Annotated[
    list[str] | None,
    typer.Option(
        "--vmm",
        metavar="V",
        help="Run with this VMM personality. Repeatable. Default: all.",
        autocompletion=complete.vmms,
    ),
]
Keyword = Annotated[
    str,
    typer.Option(
        "-k",
        metavar="EXPR",
        help="Select cases by words of their ids, with 'and', 'or', 'not' and parentheses.",
    ),
]
Tags = Annotated[
    list[str] | None,
    typer.Option(
        "--tag",
        metavar="T",
        help="Select scenarios with this tag. Repeatable: any of them.",
        autocompletion=complete.tags,
    ),
]
FormatOption = Annotated[
    Format, typer.Option("--format", metavar="text|json", help="Format of the output.")
]
Output = Annotated[
    str | None,
    typer.Option("--output", metavar="FILE", help="Write the report to FILE. Default: stdout."),
]
Jobs = Annotated[
    int,
    typer.Option(
        "-j",
        "--jobs",
        metavar="N",
        min=0,
        help="Run in N processes, 1 by default. 0 runs in this process, for a debugger or"
        " profiler.",
        show_default=False,
    ),
]
ReportFormats = Annotated[
    list[ReportFormat] | None,
    typer.Option(
        "--format",
        metavar="FORM",
        help="Format of the report: text (the default), json, junit, ktap, github or html."
        " Repeatable: each with its own --output.",
    ),
]
ReportOutputs = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        metavar="FILE",
        help="Write the report to FILE; - is stdout, the default. The n-th --format goes to the"
        " n-th --output.",
    ),
]


def _machine(more: str = "") -> Any:
    return typer.Option(
        "--machine",
        metavar="M",
        help="emulated (the default), kvm of an arm64 host, or lab:6.12, that kernel under QEMU."
        + more,
        show_default=False,
        autocompletion=complete.machines,
    )


CpuOption = Annotated[
    str | None,
    typer.Option(
        "--cpu",
        metavar="CPU",
        help="CPU of the host, emulated or of a lab: cortex-a57 (the default), cortex-a72 or"
        " cortex-a76.",
        autocompletion=complete.cpus,
    ),
]
HostOption = Annotated[
    list[str] | None,
    typer.Option(
        "--host",
        metavar="HOST",
        help="Run on this host: default, protected or gicv3-trapped. Repeatable. Default: all that"
        " a scenario names.",
        autocompletion=complete.hosts,
    ),
]
KernelImage = Annotated[
    str | None,
    typer.Option(
        "--kernel-image", metavar="FILE", help="Boot this kernel in the lab, not Debian's."
    ),
]
Initrd = Annotated[
    str | None,
    typer.Option("--initrd", metavar="FILE", help="Boot this initramfs, which must have python3."),
]
LabSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--lab",
        metavar="NAME=VALUE",
        help="Set an option of the lab: cpu, memory, qemu, append, mirror, boot_seconds,"
        " case_seconds or nice. Repeatable.",
    ),
]
Debug = Annotated[
    bool,
    typer.Option("--debug", callback=_debug, help="Show the traceback of an internal error."),
]
AllowDirs = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-dir",
        metavar="DIR",
        callback=_allow,
        help="Let scenarios name files in DIR, beside those in their own folder. Repeatable.",
    ),
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
        str, _machine(" A machine with one kernel runs the cases for that kernel.")
    ] = "emulated",
    cpu: CpuOption = None,
    host: HostOption = None,
    kernel_image: KernelImage = None,
    initrd: Initrd = None,
    lab: LabSettings = None,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="K/N",
            help="Run the K-th of N shards. A hash of its id puts a case in a shard.",
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="ADDRESS",
            help="Run on the Dask cluster with this scheduler, such as tcp://host:8786.",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show what guests send to their UARTs meanwhile.")
    ] = False,
    allow_dir: AllowDirs = None,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Run cases and report mismatches."""
    from vcpu_scenario.cli import run as command

    selection = _selection(kernel, vmm, keyword, tag, cpu, host)
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
        follow=follow,
    )


@app.command()
def matrix(
    paths: RequiredPaths,
    kernel: Kernels = None,
    vmm: Vmms = None,
    cpu: CpuOption = None,
    host: HostOption = None,
    keyword: Keyword = "",
    tag: Tags = None,
    github: Annotated[
        bool, typer.Option("--github", help="Print JSON for strategy.matrix; at most 256.")
    ] = False,
    gitlab: Annotated[
        bool, typer.Option("--gitlab", help="Print a job for a child pipeline; at most 200.")
    ] = False,
    shards: Annotated[
        int | None,
        typer.Option("--shards", metavar="N", min=1, help="Split the cases into N shards."),
    ] = None,
    per_shard: Annotated[
        int,
        typer.Option(
            "--per-shard",
            metavar="N",
            min=1,
            help="Without --shards: N cases per shard.",
        ),
    ] = 20_000,
    allow_dir: AllowDirs = None,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Print the shards to run in CI.

    One per line, as run --shard takes it, or in the format of a CI service. A hash of its id puts
    a case in a shard; empty shards are left out.
    """
    from vcpu_scenario.cli import matrix as command

    form = command.form(github=github, gitlab=gitlab)
    return command.matrix(
        paths, _selection(kernel, vmm, keyword, tag, cpu, host), form, shards, per_shard
    )


@app.command()
def merge(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Reports of run --shard K/N --format json."),
    ],
    format_: ReportFormats = None,
    output: ReportOutputs = None,
    allow_dir: AllowDirs = None,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Merge the results of shards.

    Makes any report from the JSON reports of the shards, and reports a missing shard. Needs the
    scenarios, unchanged and at the same paths, to show their lines.
    """
    from vcpu_scenario.cli import merge as command

    return command.merge(files, [form.value for form in format_ or []], output or [])


@app.command()
def check(
    paths: RequiredPaths,
    allow_dir: AllowDirs = None,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Validate scenarios without running them."""
    from vcpu_scenario.cli import check as command

    return command.check(paths)


@app.command(name="list")
def list_(
    paths: RequiredPaths,
    kernel: Kernels = None,
    vmm: Vmms = None,
    cpu: CpuOption = None,
    host: HostOption = None,
    keyword: Keyword = "",
    tag: Tags = None,
    format_: FormatOption = Format.text,
    allow_dir: AllowDirs = None,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Print the ids of the selected cases."""
    from vcpu_scenario.cli import check as command

    return command.list_cases(
        paths, _selection(kernel, vmm, keyword, tag, cpu, host), format_.value
    )


@app.command()
def explain(
    path: OneScenario,
    kernel: Annotated[
        list[str] | None,
        typer.Option(
            "--kernel",
            metavar="K",
            help="Run on this release, or on the known ones in a range such as '>=6.1'. Repeatable."
            " Default: the newest for which the scenario states an expectation.",
            autocompletion=complete.kernels,
        ),
    ] = None,
    vmm: Vmms = None,
    cpu: CpuOption = None,
    host: HostOption = None,
    keyword: Keyword = "",
    allow_dir: AllowDirs = None,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Show a run as a ladder VMM | KVM | guest.

    Each rung is an entry and the exit that ended it, with the instructions executed, the decoded
    syndrome, and the rule behind the exit. Without --kernel: the newest kernel for which the
    scenario states an expectation.
    """
    from vcpu_scenario.cli import explain as command

    return command.explain(path, _selection(kernel, vmm, keyword, None, cpu, host))


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
            help="Run as this release, or as those recorded in a range such as '>=6.1'. Repeatable."
            " Default: all that were recorded.",
            autocompletion=complete.kernels,
        ),
    ] = None,
    keyword: Annotated[
        str,
        typer.Option(
            "-k",
            metavar="EXPR",
            help="Select jobs by words of JOB@KERNEL, with 'and', 'or', 'not' and parentheses.",
        ),
    ] = "",
    format_: FormatOption = Format.text,
    output: Output = None,
    machine: Annotated[str, _machine()] = "emulated",
    kernel_image: KernelImage = None,
    initrd: Initrd = None,
    lab: LabSettings = None,
    jobs: Jobs = 1,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Compare a machine with recordings of real kernels.

    Runs each job as every kernel that it was recorded on and compares the whole trace: every exit,
    field and register change, eventfd counts, the coalesced ring. Exit status 0 only if all are
    equal. On kvm and lab:K, runs the jobs recorded on that release.
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
    path: OneScenario,
    kernel: OnlyKernels = None,
    vmm: Annotated[
        list[str] | None,
        typer.Option(
            "--vmm",
            metavar="V",
            help="Run with this VMM personality. Repeatable. Default: the scenario's first.",
            autocompletion=complete.vmms,
        ),
    ] = None,
    cpu: CpuOption = None,
    host: HostOption = None,
    keyword: Keyword = "",
    format_: Annotated[
        HistoryFormat,
        typer.Option("--format", metavar="FORM", help="text, markdown or json."),
    ] = HistoryFormat.text,
    output: Output = None,
    allow_dir: AllowDirs = None,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Show how the exits of a scenario changed between releases.

    Groups kernels that give the same exits. Each group shows its differences to the one before it,
    with the rules and commits that cause them.
    """
    from vcpu_scenario.cli import history as command

    selection = _selection(kernel, vmm, keyword, None, cpu, host)
    return command.history(path, selection, format_.value, output)


@app.command()
def stops(
    paths: RequiredPaths,
    kernel: OnlyKernels = None,
    vmm: Annotated[
        list[str] | None,
        typer.Option(
            "--vmm",
            metavar="V",
            help="Only this VMM. Repeatable. Default: all.",
            autocompletion=complete.debugged,
        ),
    ] = None,
    keyword: Keyword = "",
    format_: Annotated[
        StopsFormat,
        typer.Option("--format", metavar="FORM", help="text, json or html."),
    ] = StopsFormat.text,
    output: Output = None,
    machine: Annotated[
        str, _machine(" The VMMs then act on real KVM; a lab carries QEMU itself.")
    ] = "emulated",
    acted: Annotated[
        bool,
        typer.Option("--acted", help="In a lab, QEMU as it is acted, in place of QEMU itself."),
    ] = False,
    cpu: CpuOption = None,
    host: HostOption = None,
    kernel_image: KernelImage = None,
    initrd: Initrd = None,
    lab: LabSettings = None,
    allow_dir: AllowDirs = None,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Show what a debugger is told that steps a scenario, by kernel and VMM.

    Which instructions each VMM tells of, skips, tells of twice, and where the guest is lost.
    Kernels under which all VMMs tell the same are one row. Where a scenario asks for breakpoints or
    watchpoints and for no step, those are set and the guest is continued.
    """
    from vcpu_scenario.cli import stops as command

    selection = _selection(kernel, None, keyword, None, cpu, host)
    arguments = LabArguments(kernel_image, initrd, tuple(lab or ()))
    return command.stops(
        paths, selection, vmm or [], format_.value, output, machine, arguments, acted=acted
    )


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
        bool, typer.Option("--check", help="Write nothing; fail if a file would change.")
    ] = False,
    allow_dir: AllowDirs = None,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Store the assembled words of scenarios.

    They go next to the scenarios, which then run without an assembler.
    """
    from vcpu_scenario.cli import assemble as command

    return command.assemble(paths, check)


@app.command(name="debug")
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
        str | None,
        typer.Option(
            "--kernel",
            metavar="K",
            help="Behave as KVM of this release. Default: the newest known.",
            autocompletion=complete.kernels,
        ),
    ] = None,
    vmm: Annotated[
        str,
        typer.Option(
            "--vmm",
            metavar="V",
            help="See the guest as the debugger of this VMM does. Default: qemu.",
            show_default=False,
            autocompletion=complete.debugged,
        ),
    ] = "qemu",
    cpu: CpuOption = None,
    host: HostOption = None,
    gdb: Annotated[
        bool,
        typer.Option("--gdb", help="Start gdb (gdb-multiarch, or $GDB) with symbols and lines."),
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="N",
            min=0,
            max=65535,
            help="Serve this port of the loopback interface, 0 for any. Default: 1234.",
        ),
    ] = None,
    socket: Annotated[
        str | None, typer.Option("--socket", metavar="PATH", help="Serve a Unix socket.")
    ] = None,
    stdio: Annotated[
        bool, typer.Option("--stdio", help="Serve the standard streams: target remote | ...")
    ] = False,
    elf: Annotated[
        str | None,
        typer.Option("--elf", metavar="FILE", help="Write the guest with symbols and lines."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Offer only the packets that the VMM's own stub has.")
    ] = False,
    allow_dir: AllowDirs = None,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Serve a scenario to a debugger, through a VMM's eyes.

    The guest is stopped before its first instruction. What the scenario asks of guest debug is left
    to the debugger. `monitor help` says what the debugger can ask besides.
    """
    from vcpu_scenario.cli import debug as command

    where = command.Where(port, socket, stdio, gdb)
    return command.debug(
        file, kernel, vmm, where, hosts=hosts_asked(cpu, host), strict=strict, elf=elf
    )


def _selection(
    kernel: list[str] | None,
    vmm: list[str] | None,
    keyword: str,
    tag: list[str] | None,
    cpu: str | None = None,
    host: list[str] | None = None,
) -> Selection:
    return Selection(
        tuple(kernel or ()),
        tuple(vmm or ()),
        keyword,
        tuple(tag or ()),
        hosts_asked(cpu, host),
        complain=complain,
    )
