"""The commands for authors of scenarios: new, fmt, migrate, assemble, schema, lsp."""

from enum import StrEnum
from typing import Annotated

import typer
from msgspec import Struct

from vcpu_scenario.cli import complete
from vcpu_scenario.cli.application import subcommand
from vcpu_scenario.cli.arguments import RequiredPaths, option
from vcpu_scenario.cli.status import Status


@subcommand(reads_files=False)
def new(
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="PATH",
            help="The scenario to write, or its folder. Asks if not given.",
            autocompletion=complete.paths,
        ),
    ] = None,
    template: Annotated[
        str | None,
        option(
            "--template NAME",
            "Template: mmio, step-over-mmio (the default), in-kernel-device,"
            " breakpoint or hypercall.",
            complete.templates,
        ),
    ] = None,
    title: Annotated[str | None, option("--title TEXT", "What the scenario shows.")] = None,
    tag: Annotated[
        list[str] | None, option("--tag T", "Add a tag. Repeatable.", complete.tags)
    ] = None,
    schema: Annotated[
        str,
        option(
            "--schema WHERE",
            "Path or URL of the schema for your editor, in the first line. Default: the one in"
            " a folder above, or a copy next to the scenario.",
            show_default=False,
        ),
    ] = "",
    force: Annotated[bool, option("--force", "Overwrite what is there.")] = False,
) -> Status:
    """Write a new scenario from a template.

    It passes on every kernel, and needs no assembler until you change its code.
    """
    from vcpu_scenario.cli import new as command

    return command.new(command.Request(path, template, title, tag or [], schema, force))


class Rewriting(Struct, frozen=True):
    """What becomes of files that a command would change."""

    check: Annotated[bool, option("--check", "Change nothing; fail if anything would change.")] = (
        False
    )
    diff: Annotated[bool, option("--diff", "As --check, and show what would change.")] = False


@subcommand()
def fmt(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Scenarios, or folders of them; - for standard input.",
            autocompletion=complete.paths,
        ),
    ],
    *,
    to_change: Rewriting,
    merge: Annotated[
        bool, option("--merge", "Merge clauses that have enough in common into one.")
    ] = False,
) -> Status:
    """Format scenarios.

    Sets the order of keys, quotes, blocks, blank lines and line width. Keeps comments, line breaks
    and the meaning: compares the cases before and after.

    --merge writes what clauses have in common once, and marks what differs with the kernels and
    VMMs that it is for. Each case expects what it did; clauses that are easier to read apart stay.
    """
    from vcpu_scenario.cli import fmt as command

    return command.fmt(paths, to_change.check, to_change.diff, merge)


@subcommand(reads_files=False)
def migrate(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Scenarios, or folders of them; - for standard input, written to standard output.",
            autocompletion=complete.paths,
        ),
    ],
    *,
    to_change: Rewriting,
) -> Status:
    """Bring scenarios of 0.1 to version 1 of the language.

    Writes the present names of keys. Keeps all else as it is: comments, blanks, line ends, and what
    `scenario check` has against the file.
    """
    from vcpu_scenario.cli import migrate as command

    return command.migrate(paths, to_change.check, to_change.diff)


@subcommand()
def assemble(
    paths: RequiredPaths,
    check: Annotated[
        bool, option("--check", "Write nothing; fail if a file would change.")
    ] = False,
) -> Status:
    """Store the assembled words of scenarios.

    They go next to the scenarios, which then run without an assembler.
    """
    from vcpu_scenario.cli import assemble as command

    return command.assemble(paths, check)


class SchemaFormat(StrEnum):
    """Forms of the schema."""

    json = "json"
    markdown = "markdown"


@subcommand(reads_files=False)
def schema(
    format_: Annotated[
        SchemaFormat, option("--format json|markdown", "Form of the output.")
    ] = SchemaFormat.json,
    output: Annotated[
        str | None, option("--output FILE", "Write it there. Default: stdout.")
    ] = None,
) -> Status:
    """Print the schema of scenarios.

    JSON for editors, Markdown for the language reference.
    """
    from vcpu_scenario.cli import schema as command

    return command.schema(format_.value, output)


@subcommand()
def lsp() -> Status:
    """Serve an editor: the Language Server Protocol on standard input and output.

    Faults as you type, with fixes; completion, hover, definitions, formatting; a lens that runs a
    clause's cases. Says nothing else on standard output; --debug logs to standard error.
    """
    from vcpu_scenario.cli import lsp as command

    return command.lsp()
