"""The commands of a lab, which boots real kernels: list, fetch, path, run, check."""

from typing import Annotated

import typer

from vcpu_scenario.cli import complete
from vcpu_scenario.cli.application import app, subcommand
from vcpu_scenario.cli.arguments import Hosts, Output, option
from vcpu_scenario.cli.machines import LabArguments
from vcpu_scenario.cli.status import Status

lab = typer.Typer(
    help="Manage the kernels that a lab boots.", rich_markup_mode=None, no_args_is_help=False
)
app.add_typer(lab, name="lab")

Mirror = Annotated[
    str | None, option("--mirror URL", "A Debian mirror other than this machine's own.")
]


@subcommand("list", of=lab, reads_files=False)
def list_() -> Status:
    """List the known and fetched kernels, without network access."""
    from vcpu_scenario.cli import lab as command

    return command.list_kernels()


@subcommand(of=lab, reads_files=False)
def fetch(
    kernels: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KERNEL...",
            help="6.12 or 6.12.107, a Debian package, or qemu. Default: all known kernels.",
            autocompletion=complete.lab_kernels,
        ),
    ] = None,
    mirror: Mirror = None,
    update: Annotated[bool, option("--update", "Fetch again even if one is present.")] = False,
) -> Status:
    """Fetch kernels, and the packages and VMMs of a lab's guest, from a Debian mirror."""
    from vcpu_scenario.cli import lab as command

    return command.fetch(kernels or [], mirror, update=update)


@subcommand(of=lab, reads_files=False)
def path(
    kernel: Annotated[str, typer.Argument(metavar="KERNEL", autocompletion=complete.lab_kernels)],
) -> Status:
    """Print the path of a fetched kernel image."""
    from vcpu_scenario.cli import lab as command

    return command.path(kernel)


@subcommand("run", of=lab, reads_files=False)
def run_(
    kernel: Annotated[str, typer.Argument(metavar="KERNEL", autocompletion=complete.lab_kernels)],
    programs: Annotated[
        list[str],
        typer.Argument(metavar="PROGRAM...", help="Statically linked programs for arm64 Linux."),
    ],
    gic: Annotated[int, option("--gic 2|3", "Version of the host's GIC.", min=2, max=3)] = 3,
    seconds: Annotated[float, option("--seconds S", "How long each may take.", min=0.001)] = 60.0,
    *,
    lab: LabArguments,
) -> Status:
    """Run programs on a kernel, in one boot, with /dev/kvm.

    Prints what each writes and how it ends: pass for exit status 0, skip for 4, as kernel selftests
    have it, fail for any other. Exit status 1 if one fails.
    """
    from vcpu_scenario.cli import lab as command

    return command.run(kernel, programs, 2 if gic == 2 else 3, seconds, lab)


@subcommand(of=lab)
def check(
    kernel: Annotated[str, typer.Argument(metavar="KERNEL", autocompletion=complete.lab_kernels)],
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH...",
            help="Scenarios, or folders of them. Default: those that ship.",
            autocompletion=complete.paths,
        ),
    ] = None,
    recorded: Annotated[
        list[str] | None, option("--recorded FILE", "Ask these recorded jobs as well. Repeatable.")
    ] = None,
    programs: Annotated[
        int, option("--programs N", "Ask so many random programs as well.", min=0)
    ] = 1000,
    seed: Annotated[int, option("--seed SEED", "Of the first random program.", min=0)] = 0,
    against: Annotated[
        str,
        option(
            "--against K",
            "Compare with the model of this release. Default: the newest known.",
            complete.kernels,
            show_default=False,
        ),
    ] = "",
    output: Output = None,
    *,
    hosts: Hosts,
    lab: LabArguments,
) -> Status:
    """Find what a kernel does otherwise than the newest release known.

    Scenarios, recorded jobs, the registers of a vCPU and random programs run on the kernel and on
    the model of that release: what differs is a rule that nobody knows yet. Exit status 1 if
    anything differs. Random programs have a cortex-a72 unless --cpu says otherwise.
    """
    from vcpu_scenario.cli import labcheck as command

    request = command.Request(
        kernel,
        paths or (),
        recorded or (),
        against,
        programs,
        seed,
        output,
        hosts.asked(),
    )
    return command.check(request, lab)
