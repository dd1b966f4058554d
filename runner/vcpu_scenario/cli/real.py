"""The commands for real kernels: compare, fuzz, record, lab."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from vcpu_scenario.cli import complete
from vcpu_scenario.cli.app import (
    AllowDirs,
    Colour,
    ColourOption,
    CpuOption,
    Debug,
    HostOption,
    Initrd,
    Jobs,
    KernelImage,
    Kernels,
    Keyword,
    LabSettings,
    Output,
    Paths,
    RequiredPaths,
    Tags,
    Vmms,
    _selection,
    app,
)
from vcpu_scenario.cli.machines import LabArguments
from vcpu_scenario.cli.options import hosts_asked
from vcpu_scenario.cli.status import Status

lab = typer.Typer(
    help="Manage the kernels that a lab boots.", rich_markup_mode=None, no_args_is_help=False
)
app.add_typer(lab, name="lab")

Mirror = Annotated[
    str | None,
    typer.Option("--mirror", metavar="URL", help="A Debian mirror other than this machine's own."),
]


@app.command()
def compare(
    paths: RequiredPaths,
    machine: Annotated[
        list[str],
        typer.Option(
            "--machine",
            metavar="M",
            help="Two of emulated:RELEASE, kvm and lab:RELEASE.",
            autocompletion=complete.machines,
        ),
    ],
    kernel: Kernels = None,
    vmm: Vmms = None,
    keyword: Keyword = "",
    tag: Tags = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Show the cases that do not differ, too.")
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
    """Run cases on two machines and show their traces side by side.

    Aligns the exits and shows every field that differs. Neither machine is the reference;
    expectations are ignored. Exit status 1 if a case differs.
    """
    from vcpu_scenario.cli import compare as command

    options = LabArguments(kernel_image, initrd, tuple(lab or ()))
    selection = _selection(kernel, vmm, keyword, tag, cpu, host)
    return command.compare(paths, selection, machine, options, everything=everything)


class Programs(StrEnum):
    """What random programs are about."""

    wide = "wide"
    narrow = "narrow"
    vgic = "vgic"
    snapshots = "snapshots"


@app.command()
def fuzz(
    machine: Annotated[
        str,
        typer.Option(
            "--machine",
            metavar="M",
            help="A real kernel: lab:RELEASE, or kvm.",
            autocompletion=complete.machines,
        ),
    ],
    programs: Annotated[
        int, typer.Option("--count", metavar="N", min=1, help="Number of programs.")
    ] = 500,
    seed: Annotated[
        int,
        typer.Option(
            "--seed", metavar="S", min=0, help="Seed of the first program; the next is S+1."
        ),
    ] = 0,
    output: Annotated[
        str,
        typer.Option("--output", metavar="FOLDER", help="Write differing programs to FOLDER."),
    ] = "fuzz",
    profile: Annotated[
        Programs,
        typer.Option(
            "--profile", help="What programs are about: everything, less, or snapshots too."
        ),
    ] = Programs.wide,
    known: Annotated[
        list[int] | None,
        typer.Option("--known", metavar="S", help="Skip this seed, known to differ. Repeatable."),
    ] = None,
    jobs: Jobs = 1,
    cpu: CpuOption = None,
    host: HostOption = None,
    kernel_image: KernelImage = None,
    initrd: Initrd = None,
    lab: LabSettings = None,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Run random programs on a real kernel and on the emulated machine as that release.

    Writes the smallest programs of each kind of difference as scenarios, with the exits of the real
    kernel as expectation and both traces in `about`. Exit status 1 if there is any. With -j N, each
    of N processes boots its own kernel.
    """
    from vcpu_scenario.cli import fuzz as command

    options = LabArguments(kernel_image, initrd, tuple(lab or ()))
    return command.fuzz(
        machine,
        programs,
        seed,
        output,
        options,
        hosts=hosts_asked(cpu, host),
        jobs=jobs,
        known=known or (),
        profile=profile,
    )


class RecordFormat(StrEnum):
    """What to write."""

    scenario = "scenario"
    oracle = "oracle"
    vmm = "vmm"


@app.command()
def record(
    paths: RequiredPaths,
    machine: Annotated[
        str,
        typer.Option(
            "--machine",
            metavar="M",
            help="lab:RELEASE, kvm or emulated:RELEASE.",
            autocompletion=complete.machines,
        ),
    ],
    keyword: Keyword = "",
    tag: Tags = None,
    format_: Annotated[
        RecordFormat,
        typer.Option(
            "--format",
            metavar="FORM",
            help="scenario, a clause in the file; oracle, recorded traces for conform; or vmm,"
            " what a lab's QEMU tells a debugger.",
        ),
    ] = RecordFormat.scenario,
    vmm: Annotated[
        list[str] | None,
        typer.Option(
            "--vmm",
            metavar="V",
            help="With --format vmm: qemu (default) or qemu-7.2.",
            autocompletion=complete.vmms,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", metavar="FILE", help="Write what is recorded to FILE. Default: stdout."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
    cpu: CpuOption = None,
    host: HostOption = None,
    kernel_image: KernelImage = None,
    initrd: Initrd = None,
    lab: LabSettings = None,
    allow_dir: AllowDirs = None,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Write the exits of a kernel into scenarios, as the expectation for its release.

    Shows the change as a diff first; keeps comments and layout. Refuses to run if CI is set.
    """
    from vcpu_scenario.cli import record as command

    options = LabArguments(kernel_image, initrd, tuple(lab or ()))
    selection = _selection(None, None, keyword, tag, cpu, host)
    return command.record(
        paths, selection, machine, format_.value, output, options, vmms=vmm or (), yes=yes
    )


@lab.command(name="list")
def list_() -> Status:
    """List the known and fetched kernels, without network access."""
    from vcpu_scenario.cli import lab as command

    return command.list_kernels()


@lab.command()
def fetch(
    kernels: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KERNEL...",
            help="6.12 or 6.12.107. Default: all known ones.",
            autocompletion=complete.lab_kernels,
        ),
    ] = None,
    mirror: Mirror = None,
    update: Annotated[
        bool, typer.Option("--update", help="Fetch again even if one is present.")
    ] = False,
) -> Status:
    """Fetch kernels, and the packages of a lab's guest, from a Debian mirror."""
    from vcpu_scenario.cli import lab as command

    return command.fetch(kernels or [], mirror, update=update)


@lab.command()
def path(
    kernel: Annotated[str, typer.Argument(metavar="KERNEL", autocompletion=complete.lab_kernels)],
) -> Status:
    """Print the path of a fetched kernel image."""
    from vcpu_scenario.cli import lab as command

    return command.path(kernel)


@lab.command(name="run")
def run_(
    kernel: Annotated[str, typer.Argument(metavar="KERNEL", autocompletion=complete.lab_kernels)],
    programs: Annotated[
        list[str],
        typer.Argument(metavar="PROGRAM...", help="Statically linked programs for arm64 Linux."),
    ],
    gic: Annotated[
        int,
        typer.Option("--gic", metavar="2|3", min=2, max=3, help="Version of the host's GIC."),
    ] = 3,
    seconds: Annotated[
        float,
        typer.Option("--seconds", metavar="S", min=0.001, help="How long each may take."),
    ] = 60.0,
    kernel_image: KernelImage = None,
    initrd: Initrd = None,
    lab: LabSettings = None,
    debug: Debug = False,
) -> Status:
    """Run programs on a kernel, in one boot, with /dev/kvm.

    Prints what each writes and how it ends: pass for exit status 0, skip for 4, as kernel selftests
    have it, fail for any other. Exit status 1 if one fails.
    """
    from vcpu_scenario.cli import lab as command

    options = LabArguments(kernel_image, initrd, tuple(lab or ()))
    return command.run(kernel, programs, 2 if gic == 2 else 3, seconds, options)


@lab.command()
def check(
    kernel: Annotated[str, typer.Argument(metavar="KERNEL", autocompletion=complete.lab_kernels)],
    paths: Paths = None,
    recorded: Annotated[
        list[str] | None,
        typer.Option(
            "--recorded", metavar="FILE", help="Ask these recorded jobs as well. Repeatable."
        ),
    ] = None,
    programs: Annotated[
        int,
        typer.Option("--programs", metavar="N", min=0, help="Ask so many random programs as well."),
    ] = 1000,
    seed: Annotated[
        int, typer.Option("--seed", metavar="SEED", min=0, help="Of the first random program.")
    ] = 0,
    against: Annotated[
        str,
        typer.Option(
            "--against",
            metavar="K",
            help="Compare with the model of this release. Default: the newest known.",
            show_default=False,
            autocompletion=complete.kernels,
        ),
    ] = "",
    output: Output = None,
    cpu: CpuOption = None,
    host: HostOption = None,
    kernel_image: KernelImage = None,
    initrd: Initrd = None,
    lab: LabSettings = None,
    allow_dir: AllowDirs = None,
    color: ColourOption = Colour.auto,
    debug: Debug = False,
) -> Status:
    """Find what a kernel does otherwise than the newest release known.

    Scenarios, recorded jobs, the registers of a vCPU and random programs run on the kernel and on
    the model of that release: what differs is a rule that nobody knows yet. Exit status 1 if
    anything differs. Random programs have a cortex-a72 unless --cpu says otherwise.
    """
    from vcpu_scenario.cli import labcheck as command

    request = command.Request(
        kernel,
        paths or ["."],
        recorded or (),
        against,
        programs,
        seed,
        output,
        hosts_asked(cpu, host),
    )
    return command.check(request, LabArguments(kernel_image, initrd, tuple(lab or ())))
