"""What a worker does with the text of a scenario: check it, format it, run it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from vcpu_scenario.authoring.whole import formatted
from vcpu_scenario.language.files import MAX_SCENARIO
from vcpu_scenario.language.loader import loads
from vcpu_scenario.language.model import Scenario
from vcpu_scenario.lsp.answers import Checked, Ran
from vcpu_scenario.source import Diagnostic, InvalidScenario, Span

_MOST_SYMBOLS: Final = 2_000
"""Symbols of a guest that are offered: a kernel has a hundred times as many."""
_SMALL: Final = "title: t\nguest: {words: [0]}\n"


def warm() -> None:
    """Has everything imported that a check needs, so that the first one does not wait for it."""
    check(_SMALL, "warm.vcpu.yaml")


def check(text: str, path: str) -> Checked:
    """What ``scenario check`` has against ``text`` as the content of ``path``."""
    try:
        scenario = _loaded(text, path)
    except InvalidScenario as invalid:
        return Checked(invalid.diagnostics)
    names: dict[str, None] = {}
    for combination in scenario.combinations[:64]:
        names |= dict.fromkeys(combination.symbols)
        if len(names) > _MOST_SYMBOLS:
            break
    return Checked((), tuple(names)[:_MOST_SYMBOLS])


def fmt(text: str, path: str) -> str | None:
    """``text`` as ``scenario fmt`` has it; None where it cannot be formatted."""
    try:
        return formatted(_bounded(text, path), Path(path))
    except InvalidScenario:
        return None


def releases(text: str, path: str, line: int, column: int) -> str:
    """What the exit expected at a place is on each release, in Markdown; maybe nothing."""
    from vcpu_scenario.lsp.releases import told

    try:
        return told(_loaded(text, path), line, column)
    except InvalidScenario:
        return ""


def run(text: str, path: str, line: int | None) -> Ran:
    """Runs the cases of the clause at ``line``, or all where that is None."""
    from vcpu_scenario.lsp.rerun import ran

    try:
        return ran(_loaded(text, path), line)
    except InvalidScenario as invalid:
        return Ran(f"not run: {invalid.diagnostics[0].message}", False)


def _loaded(text: str, path: str) -> Scenario:
    """The scenario as ``check`` has it. Raises :class:`InvalidScenario`."""
    file = Path(path)
    # Ids of cases are short where a person reads them.
    return loads(_bounded(text, path).removeprefix("\ufeff"), file, strictly=True)


def _bounded(text: str, path: str) -> str:
    """``text`` where it is no longer than a file may be. Raises :class:`InvalidScenario`."""
    if len(text) > MAX_SCENARIO or len(text.encode("utf-8", "surrogatepass")) > MAX_SCENARIO:
        start = Span(path, 1, 1, 1, 1)
        fault = f"the scenario is larger than {MAX_SCENARIO >> 20} MiB, and is not checked"
        raise InvalidScenario([Diagnostic(fault, start)])
    return text
