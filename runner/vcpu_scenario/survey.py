"""A survey: ioctls that ask a vCPU about its registers, and what the kernel answered.

It travels into a lab's guest as a case does, so that the emulated machine can be compared with what
real kernels answer. Standard library and records only.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from vcpu_scenario.case import Case


class ListRegisters(Struct, frozen=True):
    """``KVM_GET_REG_LIST``: the answer is the ids in the kernel's order."""


class GetRegister(Struct, frozen=True):
    """``KVM_GET_ONE_REG``: the answer is the value, as wide as its id says."""

    id: int


class PutRegister(Struct, frozen=True):
    """``KVM_SET_ONE_REG``: the answer is 0."""

    id: int
    value: int


class RunOnce(Struct, frozen=True):
    """``KVM_RUN``: the answer is 0."""


Ask: TypeAlias = ListRegisters | GetRegister | PutRegister | RunOnce
Answer: TypeAlias = int | tuple[int, ...]
"""What came of an ioctl; below 0 it is the negative errno with which the kernel refused."""


class Survey(Struct, frozen=True):
    """What is asked, in order, of the vCPU of a VM that is set up for ``case``."""

    case: Case
    asks: tuple[Ask, ...]


class Answers(Struct, frozen=True):
    """An answer for each ask, in order."""

    given: tuple[Answer, ...]
