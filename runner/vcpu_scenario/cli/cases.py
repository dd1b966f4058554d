"""The commands for cases: run, matrix, merge, check, list."""

from typing import Annotated

import typer

from vcpu_scenario.cli.application import subcommand
from vcpu_scenario.cli.arguments import (
    Cases,
    Format,
    FormatOption,
    Jobs,
    Paths,
    Reports,
    RequiredPaths,
    machine_option,
    option,
)
from vcpu_scenario.cli.machines import LabArguments
from vcpu_scenario.cli.status import Status


@subcommand()
def run(
    paths: Paths = None,
    *,
    which: Cases,
    reports: Reports,
    exitfirst: Annotated[bool, option("-x --exitfirst", "Stop at the first failure.")] = False,
    jobs: Jobs = 1,
    machine: Annotated[
        str, machine_option(" A machine with one kernel runs the cases for that kernel.")
    ] = "emulated",
    lab: LabArguments,
    shard: Annotated[
        str | None,
        option("--shard K/N", "Run the K-th of N shards. A hash of its id puts a case in a shard."),
    ] = None,
    cluster: Annotated[
        str | None,
        option(
            "--cluster ADDRESS",
            "Run on the Dask cluster with this scheduler, such as tcp://host:8786.",
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        option(
            "--timeout SECONDS",
            "End an emulated case that gives no result for so long with an error. Default: as its "
            "limits allow, and 600 at most.",
            min=1.0,
        ),
    ] = None,
    follow: Annotated[
        bool, option("--follow", "Show what guests send to their UARTs meanwhile.")
    ] = False,
) -> Status:
    """Run cases and report mismatches."""
    from vcpu_scenario.cli import run as command

    return command.run(
        paths or [],
        which.selection(),
        reports.forms,
        reports.files,
        exitfirst=exitfirst,
        jobs=jobs,
        on=machine,
        lab=lab,
        shard=shard,
        cluster=cluster,
        timeout=timeout,
        follow=follow,
    )


@subcommand()
def matrix(
    paths: RequiredPaths,
    *,
    which: Cases,
    github: Annotated[
        bool, option("--github", "Print JSON for strategy.matrix; at most 256.")
    ] = False,
    gitlab: Annotated[
        bool, option("--gitlab", "Print a job for a child pipeline; at most 200.")
    ] = False,
    shards: Annotated[
        int | None, option("--shards N", "Split the cases into N shards.", min=1)
    ] = None,
    per_shard: Annotated[
        int, option("--per-shard N", "Without --shards: N cases per shard.", min=1)
    ] = 20_000,
) -> Status:
    """Print the shards to run in CI.

    One per line, as run --shard takes it, or in the format of a CI service. A hash of its id puts
    a case in a shard; empty shards are left out.
    """
    from vcpu_scenario.cli import matrix as command

    form = command.form(github=github, gitlab=gitlab)
    return command.matrix(paths, which.selection(), form, shards, per_shard)


@subcommand()
def merge(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Reports of run --shard K/N --format json."),
    ],
    *,
    reports: Reports,
) -> Status:
    """Merge the results of shards.

    Makes any report from the JSON reports of the shards, and reports a missing shard. Needs the
    scenarios, unchanged and at the same paths, to show their lines.
    """
    from vcpu_scenario.cli import merge as command

    return command.merge(files, reports.forms, reports.files)


@subcommand()
def check(
    paths: RequiredPaths,
) -> Status:
    """Validate scenarios without running them."""
    from vcpu_scenario.cli import check as command

    return command.check(paths)


@subcommand("list")
def list_(
    paths: RequiredPaths,
    *,
    which: Cases,
    format_: FormatOption = Format.text,
) -> Status:
    """Print the ids of the selected cases."""
    from vcpu_scenario.cli import check as command

    return command.list_cases(paths, which.selection(), format_.value)
