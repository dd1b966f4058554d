"""An ITS that was set up, and that no guest can use here."""

from __future__ import annotations

from vcpu_scenario.machine.errors import NotModelled


class Its:
    """What a VMM has made of it: where it lies."""

    def __init__(self) -> None:
        self.base: int | None = None

    def read(self, ipa: int, length: int) -> int | None:
        raise NotModelled("a guest that reads a register of an ITS")

    def write(self, ipa: int, length: int, value: int) -> bool:
        raise NotModelled("a guest that writes a register of an ITS")
