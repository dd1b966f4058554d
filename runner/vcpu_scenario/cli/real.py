"""The commands for real kernels: compare, conform, fuzz, record."""

from enum import StrEnum
from typing import Annotated

import typer

from vcpu_scenario.cli import complete
from vcpu_scenario.cli.application import subcommand
from vcpu_scenario.cli.arguments import (
    Cases,
    Format,
    FormatOption,
    Hosts,
    Jobs,
    Keyword,
    Output,
    RequiredPaths,
    Tags,
    kernel_option,
    machine_option,
    option,
    selection,
    vmm_option,
)
from vcpu_scenario.cli.machines import LabArguments
from vcpu_scenario.cli.status import Status


@subcommand()
def compare(
    paths: RequiredPaths,
    machine: Annotated[
        list[str],
        option("--machine M", "Two of emulated:RELEASE, kvm and lab:RELEASE.", complete.machines),
    ],
    *,
    which: Cases,
    everything: Annotated[bool, option("--all", "Show the cases that do not differ, too.")] = False,
    lab: LabArguments,
) -> Status:
    """Run cases on two machines and show their traces side by side.

    Aligns the exits and shows every field that differs. Neither machine is the reference;
    expectations are ignored. Exit status 1 if a case differs.
    """
    from vcpu_scenario.cli import compare as command

    return command.compare(paths, which.selection(), machine, lab, everything=everything)


@subcommand(reads_files=False)
def conform(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...", help="Recorded traces, as JSON, also compressed with xz."
        ),
    ],
    kernel: Annotated[
        list[str] | None,
        kernel_option(
            "Run as this release, or as those recorded in a range such as '>=6.1'. Repeatable."
            " Default: all that were recorded."
        ),
    ] = None,
    keyword: Annotated[
        str,
        option(
            "-k EXPR",
            "Select jobs by words of JOB@KERNEL, with 'and', 'or', 'not' and parentheses.",
        ),
    ] = "",
    format_: FormatOption = Format.text,
    output: Output = None,
    machine: Annotated[str, machine_option()] = "emulated",
    *,
    lab: LabArguments,
    jobs: Jobs = 1,
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
        lab=lab,
        jobs=jobs,
    )


class Programs(StrEnum):
    """What random programs are about."""

    wide = "wide"
    narrow = "narrow"
    vgic = "vgic"
    snapshots = "snapshots"
    pair = "pair"
    vm = "vm"
    asks = "asks"
    its = "its"


@subcommand(reads_files=False)
def fuzz(
    machine: Annotated[
        str, option("--machine M", "A real kernel: lab:RELEASE, or kvm.", complete.machines)
    ],
    programs: Annotated[int, option("--count N", "Number of programs.", min=1)] = 500,
    seed: Annotated[
        int, option("--seed S", "Seed of the first program; the next is S+1.", min=0)
    ] = 0,
    output: Annotated[
        str, option("--output FOLDER", "Write differing programs to FOLDER.")
    ] = "fuzz",
    profile: Annotated[
        Programs,
        option(
            "--profile",
            "What programs are about: everything, less, the vGIC, snapshots, two vCPUs, the VM:"
            " its PMU, timers and slots, what a VMM asks of it as well, or an ITS.",
        ),
    ] = Programs.wide,
    known: Annotated[
        list[int] | None, option("--known S", "Skip this seed, known to differ. Repeatable.")
    ] = None,
    jobs: Jobs = 1,
    *,
    hosts: Hosts,
    lab: LabArguments,
) -> Status:
    """Run random programs on a real kernel and on the emulated machine as that release.

    Writes the smallest programs of each kind of difference as scenarios, with the exits of the real
    kernel as expectation and both traces in `about`. Exit status 1 if there is any. With -j N, each
    of N processes boots its own kernel.
    """
    from vcpu_scenario.cli import fuzz as command

    return command.fuzz(
        machine,
        programs,
        seed,
        output,
        lab,
        hosts=hosts.asked(),
        jobs=jobs,
        known=known or (),
        profile=profile,
    )


class RecordFormat(StrEnum):
    """What to write."""

    scenario = "scenario"
    oracle = "oracle"
    vmm = "vmm"


@subcommand()
def record(
    paths: RequiredPaths,
    machine: Annotated[
        str, option("--machine M", "lab:RELEASE, kvm or emulated:RELEASE.", complete.machines)
    ],
    keyword: Keyword = "",
    tag: Tags = None,
    format_: Annotated[
        RecordFormat,
        option(
            "--format FORM",
            "scenario, a clause in the file; oracle, recorded traces for conform; or vmm,"
            " what a lab's QEMU tells a debugger.",
        ),
    ] = RecordFormat.scenario,
    vmm: Annotated[
        list[str] | None, vmm_option("With --format vmm: qemu (default) or qemu-7.2.")
    ] = None,
    output: Annotated[
        str | None, option("--output FILE", "Write what is recorded to FILE. Default: stdout.")
    ] = None,
    yes: Annotated[bool, option("--yes", "Write without asking.")] = False,
    *,
    hosts: Hosts,
    lab: LabArguments,
) -> Status:
    """Write the exits of a kernel into scenarios, as the expectation for its release.

    Shows the change as a diff first; keeps comments and layout. Refuses to run if CI is set.
    """
    from vcpu_scenario.cli import record as command

    which = selection(None, None, keyword, tag, hosts)
    return command.record(
        paths, which, machine, format_.value, output, lab, vmms=vmm or (), yes=yes
    )
