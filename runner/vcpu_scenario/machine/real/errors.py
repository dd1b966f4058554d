"""What can go wrong around a real KVM, as opposed to what the kernel does with a case."""

from __future__ import annotations


class NoKvmError(Exception):
    """This host has no usable KVM/arm64; the text says why."""


class LabError(Exception):
    """The lab failed; the text says at what, and what to do."""


class LabUnavailableError(LabError):
    """What the lab needs is not available here: QEMU, apt, a package. A reason to skip it."""


class NotFetchedError(LabUnavailableError):
    """What is named is not in the cache; the text says how it gets there."""


class BootError(LabError):
    """The kernel did not get as far as running cases; ``console`` is what it printed."""

    def __init__(self, reason: str, console: str) -> None:
        super().__init__(reason, console)
        self.reason = reason
        self.console = console

    def __str__(self) -> str:
        if not self.console.strip():
            return f"{self.reason}; its console stayed empty"
        tail = "\n".join(f"  | {line}" for line in self.console.rstrip().splitlines()[-60:])
        return f"{self.reason}; the last lines of its console:\n{tail}"
