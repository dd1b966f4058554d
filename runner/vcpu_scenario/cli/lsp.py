"""``scenario lsp``: a language server on the standard streams."""

from __future__ import annotations

import logging

from vcpu_scenario.cli.options import COMMON
from vcpu_scenario.cli.status import Status
from vcpu_scenario.errors import UsageError


def lsp() -> Status:
    """Serves one client until it is gone. Only messages are written to standard output."""
    from vcpu_scenario.lsp.conversation import NoPipe, converse

    try:
        ended_well = converse(logging.DEBUG if COMMON.debug else logging.ERROR)
    except NoPipe as why:
        raise UsageError(f"lsp is for an editor, with pipes as its streams: {why}") from None
    # What the protocol asks for: 1 where the client was gone without a word.
    return Status.OK if ended_well else Status.MISMATCH
