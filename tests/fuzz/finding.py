"""What a fuzzer's input did that none may do."""

from __future__ import annotations


class Finding(Exception):
    """The input did what none may do; the message says what."""
