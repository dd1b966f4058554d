"""What a machine raises: the kernel's refusals, and what no machine or not this one can do."""

from __future__ import annotations

from collections.abc import Sequence


class KvmError(Exception):
    """The kernel refused an ioctl: ``errno`` and what was asked of it."""

    def __init__(self, errno: int, what: str) -> None:
        super().__init__(errno, what)
        self.errno = errno
        self.what = what


def enabling(cap: str) -> str:
    """:attr:`KvmError.what` where ``KVM_ENABLE_CAP`` is refused; a trace's ``error`` begins so."""
    return f"cap {cap}"


def initialising(features: Sequence[str], target: int | None = None, bits: int = 0) -> str:
    """:attr:`KvmError.what` where ``KVM_ARM_VCPU_INIT`` is refused."""
    words = [*features]
    if bits:
        words.append(f"features {bits:#x}")
    if target is not None:
        words.append(f"target {target}")
    return " ".join(("KVM_ARM_VCPU_INIT", *words))


def is_of_enabling(error: str) -> bool:
    """Whether a trace's ``error`` says that ``KVM_ENABLE_CAP`` was refused."""
    return error.startswith(enabling(""))


class NotRefused(Exception):
    """The kernel did ``what`` it was expected to refuse, or refused it in another way."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Unexpected(Exception):
    """The kernel answered an ioctl with something else than was expected of it: ``what`` says
    the ioctl, the expectation and the answer."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Unsupported(Exception):
    """This machine cannot do what the case asks (not: the kernel refused it). A skip."""


class Lacking(Unsupported):
    """The kernel does not have what an ioctl asks for, and refuses it with ``errno``: a skip that
    says so, but for whoever expects the refusal."""

    def __init__(self, errno: int, what: str) -> None:
        super().__init__(f"this kernel has no {what}")
        self.errno = errno
        self.what = what


class NotSeenThere(Unsupported):
    """The emulated machine does not model that kernel on that host, which a real one may run:
    ``what`` says which it models there."""

    def __init__(self, what: str) -> None:
        super().__init__(f"not modelled: {what}")
        self.what = what


class NotModelled(Exception):
    """The emulated machine comes to what it does not model: ``what`` names it, with its value.

    The run ends there with a verdict of its own. Not: the kernel refused it; not: no such machine
    can do it.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"not modelled: {self.what}"
