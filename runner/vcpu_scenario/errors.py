"""Errors that every room may raise."""

from __future__ import annotations


class UsageError(ValueError):
    """The caller asks for what cannot be: told in one message, status 4 on the command line."""
