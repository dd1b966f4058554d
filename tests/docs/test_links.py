"""What the pages name is there: files, headings, commands and their options."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer
from vcpu_scenario import load
from vcpu_scenario.cli import all_commands

from .commands import Call, calls_of_page, calls_of_workflow, every_option, options_of
from .markdown import anchors, code_spans, links

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / f"{name}.md" for name in ("CONTRIBUTING", "README", "SECURITY")),
    *sorted((ROOT / "docs").glob("*.md")),
]
WORKFLOWS = [
    ROOT / "action.yml",
    *sorted((ROOT / "examples").glob("*.yml")),
    *sorted((ROOT / ".github").rglob("*.yml")),
]
OF_PYTEST = {"--lf", "--runxfail", "--vcpu-allow-dir"}
WITHIN = [
    (page, target)
    for page in PAGES
    for target in links(page.read_text(encoding="utf-8"))
    if "://" not in target
]


def test_there_are_links() -> None:
    assert len(WITHIN) > 100


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    lost = []
    for target in {target for source, target in WITHIN if source == page}:
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text())):
            lost.append(target)
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_two_headings_are_linked_alike(page: Path) -> None:
    found = anchors(page.read_text(encoding="utf-8"))
    assert sorted(found) == sorted(set(found))


@pytest.fixture(scope="module")
def scenario() -> Any:
    return typer.main.get_command(all_commands())


def _unknown(call: Call, scenario: Any) -> set[str] | None:
    """The options of a call that its program does not have; None where there is no program."""
    if call.program == "scenario":
        known = options_of(scenario, call.rest)
        return None if known is None else call.options - known
    found = find_spec(call.program)
    if found is None or found.origin is None:
        return None
    module = Path(found.origin)
    sources = module.parent.rglob("*.py") if module.name == "__init__.py" else [module]
    known = set(re.findall(r"--[a-z][a-z-]*", "".join(one.read_text() for one in sources)))
    return call.options - known - {"--help"}


@pytest.mark.slow
@pytest.mark.parametrize("page", [*PAGES, *WORKFLOWS], ids=lambda page: page.name)
def test_commands_and_options_exist(page: Path, scenario: Any) -> None:
    text = page.read_text(encoding="utf-8")
    calls = calls_of_page(text) if page.suffix == ".md" else calls_of_workflow(text)
    assert [call for call in calls if _unknown(call, scenario) != set()] == []


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_that_stand_alone_are_some_commands(page: Path, scenario: Any) -> None:
    spans = code_spans(page.read_text(encoding="utf-8"))
    alone = {span.split()[0] for span in spans if span.startswith("--")}
    assert alone - every_option(scenario) - OF_PYTEST == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_shipped_scenarios_that_are_named_are_there_with_their_cases(page: Path) -> None:
    named = re.findall(
        r"(scenarios/[\w/.-]+\.vcpu\.yaml)(?:::([\w./-]+)(\[[^\]]*\])?)?", page.read_text()
    )
    lost = [name for name, _, _ in named if not (ROOT / name).exists()]
    for name, place, parameters in named:
        if place and name not in lost:
            ends = {case.id.partition("@")[2] for case in load(ROOT / name).cases()}
            with_parameters = any("[" in case.id for case in load(ROOT / name).cases())
            if place not in ends or bool(parameters) != with_parameters:
                lost.append(f"{name}::{place}{parameters}")
    assert lost == []
