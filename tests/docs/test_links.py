"""What the pages name is there: files, headings, commands and their options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from vcpu_scenario import load
from vcpu_scenario.cli import all_commands

from .markdown import anchors, code_spans, links

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
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


def _commands() -> dict[str, set[str]]:
    group = typer.main.get_command(all_commands())
    common = {"--help", "-h"}
    return {
        name: common | {option for each in command.params for option in each.opts}
        for name, command in group.commands.items()  # type: ignore[attr-defined]
    }


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_exist(page: Path) -> None:
    commands = _commands()
    for span in code_spans(page.read_text(encoding="utf-8")):
        called = re.match(r"scenario ([a-z]+)\b(.*)", " ".join(span.split()))
        if called is None:
            continue
        assert called[1] in commands, span
        named = set(re.findall(r"(?<![\w-])--[a-z-]+", called[2]))
        assert named <= commands[called[1]], span


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
