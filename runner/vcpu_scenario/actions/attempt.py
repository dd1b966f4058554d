"""An action that the kernel is expected to refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from vcpu_scenario.actions.kind import Kind, Name, Unwritable, of
from vcpu_scenario.case import Action, Attempt
from vcpu_scenario.kvm.errnos import errno_name, errno_word
from vcpu_scenario.machine.errors import KvmError, Lacking, NotRefused
from vcpu_scenario.machine.interface import Machine

KEY: Final = "errno"


def kind_of(
    perform: Callable[[Machine, Action], None],
    write: Callable[[Action], dict[str, Any]],
    words: Callable[[Action, Name], str],
) -> Kind[Attempt]:
    """The kind, by what is done with the action that is tried. The key stands beside that of the
    action, so that who reads that makes the attempt of it."""

    def attempt(machine: Machine, action: Attempt) -> None:
        try:
            perform(machine, action.action)
        except (KvmError, Lacking) as refusal:
            if refusal.errno == action.errno:
                return
            how = f"gave {errno_name(refusal.errno)}"
            raise NotRefused(_unlike(refusal.what, how, action)) from None
        raise NotRefused(_unlike(words(action.action, hex), "succeeded", action))

    def written(action: Attempt) -> dict[str, Any]:
        inner = write(action.action)
        if KEY in inner:
            raise Unwritable("an attempt at an attempt")
        return {**inner, KEY: errno_word(action.errno)}

    return Kind(
        Attempt,
        schema={
            KEY: of("errno_by_case", "The kernel refuses the action beside it with this error.")
        },
        read=lambda key, node, reader: (),
        write=written,
        perform=attempt,
        words=lambda action, name: (
            f"{words(action.action, name)}, expected to give {errno_name(action.errno)}"
        ),
    )


def _unlike(what: str, how: str, action: Attempt) -> str:
    return f"{what} {how}, expected {errno_name(action.errno)}"
