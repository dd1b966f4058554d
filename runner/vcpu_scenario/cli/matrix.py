"""``scenario matrix``: how many shards a run takes, in the form that a CI service reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from vcpu_scenario.cli.loading import scenarios_of
from vcpu_scenario.cli.nothing import none_selected
from vcpu_scenario.cli.output import say
from vcpu_scenario.cli.status import Status
from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.printable import json_text
from vcpu_scenario.running.select import Selection
from vcpu_scenario.running.shards import MOST, Shard, filled

SERVICES: Final[Mapping[str, tuple[str, int]]] = {
    "github": ("GitHub runs at most {most} jobs of a matrix", 256),
    "gitlab": ("GitLab runs at most {most} jobs of a parallel:matrix", 200),
    "text": ("there are at most {most} shards", MOST),
}
"""Of each form why there is a limit to the number of shards, and which."""


def form(*, github: bool, gitlab: bool) -> str:
    """Which form the options name; raises :class:`UsageError`."""
    if github and gitlab:
        raise UsageError("--github and --gitlab are two forms: ask for one")
    if github:
        return "github"
    return "gitlab" if gitlab else "text"


def matrix(
    paths: Sequence[str], selection: Selection, form: str, shards: int | None, per_shard: int
) -> Status:
    """Prints the shards that have any of the cases selected.

    There are ``shards`` of them, or enough for ``per_shard`` cases each as far as the service
    allows. Fewer are printed where some have no case.
    """
    reason, most = SERVICES[form]
    if shards is not None and shards > most:
        raise UsageError(f"--shards {shards}: {reason.format(most=most)}")
    scenarios = scenarios_of(paths)
    cases = selection.cases(scenarios)
    if not cases:
        return none_selected(scenarios, selection)
    of = shards or min(most, -(-len(cases) // per_shard))
    say(_FORMS[form](filled(cases, of)))
    return Status.OK


def _github(shards: Mapping[Shard, int]) -> str:
    """The value of ``strategy.matrix`` on one line, for ``fromJSON``."""
    include = [{"shard": str(shard), "cases": cases} for shard, cases in shards.items()]
    return json_text({"include": include}, indent=None)


def _gitlab(shards: Mapping[Shard, int]) -> str:
    """A job for a child pipeline; what it does is in the job ``.scenario-shard`` beside it."""
    lines = [
        "scenarios:",
        "  extends: .scenario-shard",
        "  parallel:",
        "    matrix:",
        "      - SHARD:",
        *(f'          - "{shard}"' for shard in shards),
    ]
    return "\n".join(lines) + "\n"


_FORMS: Final[Mapping[str, Callable[[Mapping[Shard, int]], str]]] = {
    "text": lambda shards: "".join(f"{shard}\n" for shard in shards),
    "github": _github,
    "gitlab": _gitlab,
}
