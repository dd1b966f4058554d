"""Why a file is no guest."""

from __future__ import annotations


class NotAGuest(ValueError):
    """Why the file cannot be run as a guest, in words."""
