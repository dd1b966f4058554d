"""A fault is underlined in the editor exactly where it is, and where ``scenario check`` says."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from vcpu_scenario.language import schema, yaml12
from vcpu_scenario.language.problems import Problems

from .client import LanguageServer
from .conftest import ROOT
from .marked import HEAD, Place, marked

pytestmark = pytest.mark.slow  # a language server is asked

PATH: Final = ROOT / "scenarios/made.vcpu.yaml"

GOOD = f"{HEAD}title: t\nguest: {{words: [1]}}\n"

BROKEN = {
    "an unknown key of the scenario": f"{GOOD}«gest»: 1\n",
    "an unknown exit": f"{GOOD}expect:\n  - exits:\n      - «mimo»: {{read: 1}}\n",
    "an unknown field of an exit": (
        f"{GOOD}expect:\n  - exits:\n      - mmio: {{«reed»: 1, len: 4}}\n"
    ),
    "an unknown field in a block": (
        f"{GOOD}expect:\n  - exits:\n      - debug:\n          step: 0\n          «stop»: 1\n"
    ),
    "a value that is none of those that may be": (
        f"{GOOD}devices:\n  uart: {{handled_by: «userspase», at: 0}}\n"
    ),
    "a boolean of YAML 1.1": f"{GOOD}debug: {{single_step: «yes»}}\n",
    "a boolean in quotes": f'{GOOD}debug: {{single_step: «"true"»}}\n',
    "a text for a number": f"{GOOD}limits: {{exits: «many»}}\n",
    "a number for a text": f"{HEAD}title: «5.10»\nguest: {{words: [1]}}\n",
    "a range of kernels without quotes": f"{GOOD}kernels: «5.10»\n",
    "a list for a mapping": f"{GOOD}debug: «[single_step]»\n",
    "a mapping for a list": f"{GOOD}observe: «{{x1: 1}}»\n",
    "a tag in capitals": f"{GOOD}tags: [mmio, «MMIO»]\n",
    "a repeat of zero": f"{GOOD}expect:\n  - exits:\n      - debug: {{repeat: «0»}}\n",
    "a width beyond a double word": (
        f"{GOOD}expect:\n  - exits:\n      - mmio: {{read: 0, len: «16»}}\n"
    ),
    "a name with a blank": f"{GOOD}devices:\n  «my uart»: {{handled_by: userspace, at: 0}}\n",
    "several of them at once": (
        f"{GOOD}«gest»: 1\nobserve: «7»\nexpect:\n  - kernels: «5»\n    exits:\n"
        "      - debug: {«stop»: 1}\n      - mmio: {write: 0, len: «four», data: 1}\n"
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_fault_is_underlined(fault: str, server: LanguageServer) -> None:
    text, places = marked(BROKEN[fault])
    (found,) = server.diagnostics({PATH: text}).values()
    assert {_place(each["range"]) for each in found} == places
    assert {each["severity"] for each in found} == {1}


@pytest.mark.parametrize("fault", BROKEN)
def test_the_check_says_the_same_places(fault: str) -> None:
    text, places = marked(BROKEN[fault])
    node, faults = yaml12.parse(text, str(PATH))
    problems = Problems(faults)
    assert node is not None
    schema.check(node, problems)
    assert {
        Place(each.span.line - 1, each.span.column - 1, each.span.end_column - 1)
        for each in problems
    } == places


def test_a_key_that_is_there_twice_is_underlined(server: LanguageServer) -> None:
    (found,) = server.diagnostics({PATH: f"{GOOD}debug: {{}}\ndebug: {{}}\n"})[PATH]
    assert found["range"]["start"] == {"line": 4, "character": 0}
    assert found["message"] == "Map keys must be unique"


def test_what_was_expected_is_said_with_it(server: LanguageServer) -> None:
    text, _ = marked(BROKEN["an unknown field of an exit"])
    (found,) = server.diagnostics({PATH: text})[PATH]
    assert found["message"] == "Property reed is not allowed."
    assert "read" in found["data"]["properties"]
    text, _ = marked(BROKEN["a value that is none of those that may be"])
    (found,) = server.diagnostics({PATH: text})[PATH]
    assert '"userspace", "kernel"' in found["message"]
    text, _ = marked(BROKEN["a text for a number"])
    (found,) = server.diagnostics({PATH: text})[PATH]
    assert "an integer such as 4096" in found["source"]


@pytest.mark.parametrize("folder", ["scenarios", "scenarios/deep/er", "elsewhere"])
def test_the_schema_is_found_without_a_modeline(folder: str, server: LanguageServer) -> None:
    """By the name of the file alone, as .vscode/settings.json has it."""
    path = ROOT / folder / "made.vcpu.yaml"
    (found,) = server.diagnostics({path: "title: t\nguest: {}\ngest: 1\n"})[path]
    assert found["message"] == "Property gest is not allowed."


def test_other_files_are_not_held_to_it(server: LanguageServer) -> None:
    path = Path(ROOT, "scenarios/made.yaml")
    assert server.diagnostics({path: "gest: 1\n"}) == {path: []}


def _place(found: dict[str, dict[str, int]]) -> Place:
    start, end = found["start"], found["end"]
    assert start["line"] == end["line"]
    return Place(start["line"], start["character"], end["character"])
