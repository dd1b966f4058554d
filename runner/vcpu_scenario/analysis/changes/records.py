"""What was asked of a kernel and of the model of a release, and how the two differ."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from vcpu_scenario.case import Case
from vcpu_scenario.survey import Answer, Survey
from vcpu_scenario.trace import Trace

State: TypeAlias = Literal["same", "differs", "lost", "not compared"]


class Asked(Struct, frozen=True):
    """A case that is run on both; ``group`` is what it is one of (``scenarios``, ...)."""

    group: str
    name: str
    case: Case


class Found(Struct, frozen=True):
    """What came of it.

    ``kind`` groups differences: what is in another way, without index, address or value; it is the
    reason where nothing was compared. ``first`` is the first difference in words, the model's
    first. ``case`` and ``real``, what the kernel gave, are of a case that differs; ``survey`` and
    ``answers`` are so of a register; ``model`` is the release
    that it is compared with, on the host of both.
    """

    group: str
    name: str
    state: State
    kind: str = ""
    first: str = ""
    case: Case | None = None
    real: Trace | None = None
    survey: Survey | None = None
    answers: tuple[Answer, ...] = ()
    model: str = ""


class Change(Struct, frozen=True):
    """Differences of which each rule of ``rules`` alone, given to the model's release or taken
    from it, makes the model give what the kernel gave; without rules, those of one kind."""

    found: tuple[Found, ...]
    rules: tuple[str, ...] = ()
