"""One handler for each packet, by subject."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vcpu_scenario.debugger.handlers import general, qemu, reading, running, state
from vcpu_scenario.debugger.stub import Handler

HANDLERS: Final[Mapping[bytes, Handler]] = {
    **general.HANDLERS,
    **state.HANDLERS,
    **running.HANDLERS,
    **reading.HANDLERS,
    **qemu.HANDLERS,
}
"""By the packet's name: the longest that a packet begins with is its own."""
