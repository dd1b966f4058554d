"""The application, and how a function becomes one of its commands.

Typer reads the signatures; the commands import what they need when they run, so that
``scenario --help`` does not wait for an emulator nor a run for the help. Modules with commands do
without ``from __future__ import annotations``: to evaluate them all takes longer than to start.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, TypeVar

import typer
from msgspec import Struct
from msgspec.structs import fields

from vcpu_scenario.cli.options import COMMON

Command = TypeVar("Command", bound=Callable[..., Any])


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


def subcommand(
    name: str | None = None, *, of: typer.Typer = app, reads_files: bool = True
) -> Callable[[Command], Command]:
    """Makes a function a command of the application, or of a group of commands in it.

    A parameter that is a record stands for an option for each of its fields. Every command also
    takes ``--color`` and ``--debug``, and one that reads scenarios ``--allow-dir``.
    """

    def add(function: Command) -> Command:
        of.command(name=name)(_as_typer_reads(function, _SHARED if reads_files else _SHARED[1:]))
        return function

    return add


def _as_typer_reads(
    function: Callable[..., Any], shared: tuple[Parameter, ...]
) -> Callable[..., Any]:
    declared = signature(function).parameters.values()
    groups: dict[str, Any] = {
        each.name: each.annotation for each in declared if _is_record(each.annotation)
    }

    @wraps(function)
    def called(**given: Any) -> Any:
        for option in shared:  # whose callbacks have done what there is to do
            del given[option.name]
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        return function(**given)

    apart = [option for each in declared for option in _options(each, groups)]
    called.__signature__ = Signature([*apart, *shared])  # type: ignore[attr-defined]
    called.__annotations__ = {each.name: each.annotation for each in (*apart, *shared)}
    return called


def _is_record(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Struct)


def _options(parameter: Parameter, groups: Mapping[str, Any]) -> list[Parameter]:
    if parameter.name not in groups:
        return [parameter.replace(kind=Parameter.KEYWORD_ONLY)]
    return [
        Parameter(each.name, Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type)
        for each in fields(groups[parameter.name])
    ]


def _allow(folders: list[str] | None) -> list[str] | None:
    from vcpu_scenario.language.permission import grant

    grant(folders or ())
    return folders


def _colour(value: Colour) -> Colour:
    if value is not Colour.auto:
        COMMON.colour = value.value
    return value


def _debug(value: bool) -> None:
    COMMON.debug = COMMON.debug or value


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
Debug = Annotated[
    bool,
    typer.Option("--debug", callback=_debug, help="Show the traceback of an internal error."),
]
_SHARED = tuple(
    Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=kind)
    for name, default, kind in (
        ("allow_dir", None, AllowDirs),
        ("color", Colour.auto, ColourOption),
        ("debug", False, Debug),
    )
)


def _version(value: bool) -> None:
    if value:
        from vcpu_scenario.cli.output import say
        from vcpu_scenario.host.package import VERSION

        say(f"scenario {VERSION}\n{_assembler()}\n")
        raise typer.Exit


def _assembler() -> str:
    from vcpu_scenario.assembly.assembled import NoAssembler
    from vcpu_scenario.assembly.assemblers import choose

    try:
        return f"assembler: {choose().described}"
    except NoAssembler as none:
        return f"assembler: none; {none}"


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
