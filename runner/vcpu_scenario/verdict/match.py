"""Holds one expectation against one exit."""

from __future__ import annotations

from collections.abc import Mapping
from errno import EINTR
from typing import Any, Final

from msgspec import Struct

from vcpu_scenario.arm64.esr import EC_MASK
from vcpu_scenario.expectation import Check, ExpectedExit, RegisterCheck
from vcpu_scenario.trace import Exit
from vcpu_scenario.verdict.align import GAP
from vcpu_scenario.vmm.patterns import field_of, is_value

_NEVER: Final = 2 * GAP + 1


class Failure(Struct, frozen=True):
    """A check that an exit does not meet; ``found`` is None where it has no such value."""

    check: Check | RegisterCheck
    found: Any


def meets(check: Check, found: Any) -> bool:
    """Whether the value ``found`` is what the check asks for."""
    return is_value(found, check.value, check.mask)


def found_value(check: Check, found: Any) -> Any:
    """``found`` in the form of the check's value, for showing the two beside each other."""
    if isinstance(check.value, bytes) and isinstance(found, str):
        return bytes.fromhex(found)[: len(check.value)]
    return found


def failures(expected: ExpectedExit, exit_: Exit, state: Mapping[str, int]) -> tuple[Failure, ...]:
    """The checks of ``expected`` that ``exit_`` does not meet.

    ``state`` holds the observed registers after the exit.
    """
    out = [
        Failure(check, found)
        for check in expected.checks
        if not meets(check, found := field_of(exit_, check.field))
    ]
    out += [
        Failure(check, state.get(check.reg))
        for check in expected.regs
        if state.get(check.reg) != check.value
    ]
    return tuple(out)


def same_kind(expected: ExpectedExit, exit_: Exit) -> bool:
    """Whether the two are exits of one kind, so that their fields can be compared.

    The kind is the exit's name, whether ``KVM_RUN`` failed and with what, and for a debug exit
    the exception class.
    """
    if exit_.errno == EINTR and excludes_interruption(expected):
        return False
    for check in expected.checks:
        if check.field in ("exit", "errno", "ret"):
            if not meets(check, field_of(exit_, check.field)):
                return False
        elif check.field == "hsr" and not _same_class(check, exit_):
            return False
    return exit_.ret == 0 or speaks_of_result(expected)


def excludes_interruption(expected: ExpectedExit) -> bool:
    """Whether it is an error of any number: but for EINTR, which is ``interrupted``."""
    return expected.kind == "error" and all(check.field != "errno" for check in expected.checks)


def speaks_of_result(expected: ExpectedExit) -> bool:
    """Whether ``KVM_RUN`` may have failed: an error leaves the exit before in ``exit_reason``, and
    only who asks for the error, or for anything, means it."""
    return expected.kind == "any" or any(
        check.field in ("errno", "ret") for check in expected.checks
    )


def _same_class(check: Check, exit_: Exit) -> bool:
    found = exit_.fields.get("hsr")
    if not isinstance(found, int) or not isinstance(check.value, int):
        return False
    return (found ^ check.value) & EC_MASK & (0xFFFFFFFF if check.mask is None else check.mask) == 0


def cost(expected: ExpectedExit, exit_: Exit, state: Mapping[str, int]) -> int:
    """What holding the two against each other costs in an alignment.

    0 where all is as expected; little for wrong fields of the right exit at the right pc; more
    than a gap for one elsewhere; too much for an exit of another kind.
    """
    if not same_kind(expected, exit_):
        return _NEVER
    failed = failures(expected, exit_, state)
    if not failed:
        return 0
    elsewhere = any(
        isinstance(failure.check, Check) and failure.check.field in ("pc", "addr", "is_write")
        for failure in failed
    )
    return GAP + 2 + min(len(failed), 4) if elsewhere else min(len(failed), GAP - 1)
