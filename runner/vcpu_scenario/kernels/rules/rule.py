"""What a rule is: a behaviour, the releases that have it, and how that is known."""

from __future__ import annotations

from msgspec import Struct


class Commit(Struct, frozen=True):
    """A commit of the mainline kernel: its id, its subject, the first release that has it."""

    id: str
    subject: str
    first: str


class Rule(Struct, frozen=True):
    """One behaviour. ``kernels`` are ranges of releases (:mod:`vcpu_scenario.kernels.release`) in
    which it holds, everywhere or only on a ``host`` that is so
    (:mod:`vcpu_scenario.kernels.hosts`); ``evidence`` says how that is known."""

    name: str
    kernels: tuple[str, ...]
    summary: str
    evidence: str
    commits: tuple[Commit, ...] = ()
    host: str = ""


def recorded(what: str) -> str:
    return f"recorded: {what}"


def source(what: str) -> str:
    return f"source: {what}"
