"""``scenario assemble``: keeps the assembled words beside the scenarios, or compares them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vcpu_scenario.cli.loading import count, scenarios_of
from vcpu_scenario.cli.nothing import NO_SCENARIO
from vcpu_scenario.cli.output import cannot_write, complain, say
from vcpu_scenario.cli.status import Status
from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.printable import printable

if TYPE_CHECKING:
    from vcpu_scenario.language import Scenario


def assemble(paths: Sequence[str], check: bool) -> Status:
    """Assembles every scenario anew and keeps the words; with ``check`` changes nothing and
    tells what would change."""
    from vcpu_scenario.assembly.assembled import NoAssembler

    scenarios = scenarios_of(paths, "nothing was assembled")
    if not scenarios:
        complain(NO_SCENARIO)
        return Status.NOTHING_SELECTED
    try:
        return _compare(scenarios) if check else _keep(scenarios)
    except NoAssembler as error:
        raise UsageError(str(error)) from None


def _compare(scenarios: Sequence[Scenario]) -> Status:
    from vcpu_scenario.assembly.cache import differences

    found = [text for each in scenarios for text in differences(each.path, each.sources)]
    for text in found:
        complain(text)
    if found:
        complain("`scenario assemble` brings the kept words up to date")
        return Status.MISMATCH
    say(f"{count(len(scenarios), 'scenario')}: the words kept are those assembled\n")
    return Status.OK


def _keep(scenarios: Sequence[Scenario]) -> Status:
    from vcpu_scenario.assembly.cache import refresh, words_path

    changed = 0
    for scenario in scenarios:
        target = words_path(scenario.path)
        try:
            if refresh(scenario.path, scenario.sources):
                changed += 1
                say(f"{printable(target)}\n")
        except OSError as error:
            raise cannot_write(target, error) from None
    say(f"{count(len(scenarios), 'scenario')}, {count(changed, 'file')} changed\n")
    return Status.OK
