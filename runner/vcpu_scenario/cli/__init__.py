"""``scenario``: the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from copy import copy
from importlib import import_module
from typing import TYPE_CHECKING

from vcpu_scenario.cli.options import COMMON
from vcpu_scenario.cli.output import complain, guarded_stdout
from vcpu_scenario.cli.status import CannotWrite, InvalidTold, NoMachine, Status
from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.signals import is_interruption
from vcpu_scenario.language.permission import granting

if TYPE_CHECKING:
    import typer

_COMPLETION = "_SCENARIO_COMPLETE"
"""Set where a shell asks what could come next: it then runs the command without arguments."""

_MODULES = tuple(
    f"vcpu_scenario.cli.{name}"
    for name in ("cases", "looking", "authors", "real", "labs", "sharing")
)
"""Those that add commands to the application, in the order of the help."""

_TYPERS_INTERRUPT = 130
"""What Typer makes of a KeyboardInterrupt that passes through it."""


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command line ``args``, by default the process's own; returns the exit status."""
    args = sys.argv[1:] if args is None else args
    completing = _COMPLETION in os.environ
    if not args and not completing:
        # Who knows no command yet is helped, but what was asked for has not been done.
        return main(["--help"]) or Status.USAGE
    _forgiving_streams()
    COMMON.debug, COMMON.colour = False, "auto"
    try:
        with granting():
            if completing:
                from vcpu_scenario.cli.complete import words_of_bash

                with words_of_bash():
                    return _dispatch(args)
            return _dispatch(args)
    except UsageError as error:
        complain(f"scenario: {error}")
        return Status.USAGE
    except InvalidTold:
        return Status.USAGE
    except (CannotWrite, NoMachine) as error:
        complain(f"scenario: {error}")
        return Status.INTERNAL_ERROR
    except (KeyboardInterrupt, Exception) as error:
        if is_interruption(error):
            complain("scenario: interrupted")
            return Status.INTERRUPTED
        # The last resort: nobody shall see a traceback unasked, nor may a prompt be spoilt
        # because Tab found no answer.
        return Status.INTERNAL_ERROR if completing else _internal_error(error)


def all_commands() -> typer.Typer:
    """The application with all its commands."""
    for module in _MODULES:
        import_module(module)
    from vcpu_scenario.cli.application import app

    # In this order whoever imported one of them first, as a program with a use for it may.
    app.registered_commands.sort(key=lambda command: _MODULES.index(command.callback.__module__))
    return app


def _dispatch(args: Sequence[str]) -> int:
    import typer

    app = all_commands()
    command_line_error = _command_line_error(typer.BadParameter)
    command = typer.main.get_command(_with_one_command(app, args))
    try:
        with guarded_stdout():
            status = command(args=args, prog_name="scenario", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except command_line_error as error:
        return _usage(error)
    if status == _TYPERS_INTERRUPT:
        raise KeyboardInterrupt
    return int(status or 0)


def _with_one_command(app: typer.Typer, args: Sequence[str]) -> typer.Typer:
    """``app`` with the command alone that ``args`` begin with, or as it is if with none: to build
    one takes Typer a millisecond."""
    from typer.main import get_command_name

    for command in app.registered_commands:
        function = command.callback
        name = command.name or (get_command_name(function.__name__) if function else "")
        if args and name == args[0]:
            one = copy(app)
            one.registered_commands, one.registered_groups = [command], []
            return one
    return app


def _command_line_error(one_of_them: type[Exception]) -> type[Exception]:
    """The class of all complaints about arguments: Typer's own, and Click's before it had any."""
    return next(cls for cls in one_of_them.__mro__ if cls.__base__ is Exception)


def _usage(error: BaseException) -> int:
    """Tells what is wrong with the arguments."""
    context = getattr(error, "ctx", None)
    message = error.format_message()  # type: ignore[attr-defined]
    if context is not None:
        complain(f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n")
    complain(f"scenario: {message}")
    return Status.USAGE


def _internal_error(error: BaseException) -> int:
    if COMMON.debug:
        import traceback

        complain("".join(traceback.format_exception(error)))
    what = str(error).partition("\n")[0]
    complain(f"scenario: internal error: {type(error).__name__}{f': {what}' if what else ''}")
    if not COMMON.debug:
        complain(
            "This is a fault of the runner, not of your scenario: please report it, with what"
            " the same command prints under --debug."
        )
    return Status.INTERNAL_ERROR


def _forgiving_streams() -> None:
    """What a terminal's encoding lacks is shown as something else instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
