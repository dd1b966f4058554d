"""The editor offers what may stand at the cursor, with a description of each."""

from __future__ import annotations

from typing import Any

import pytest
from vcpu_scenario.language.schema import scenario_schema

from .client import LanguageServer
from .conftest import ROOT
from .marked import HEAD, cursor

pytestmark = pytest.mark.slow  # a language server is asked

PATH = ROOT / "scenarios/made.vcpu.yaml"
SCHEMA = scenario_schema()
DEFINITIONS = SCHEMA["definitions"]
GOOD = f"{HEAD}title: t\nguest: {{words: [1]}}\n"


def offered(server: LanguageServer, text: str) -> dict[str, dict[str, Any]]:
    plain, line, column = cursor(text)
    return {item["label"]: item for item in server.completions(PATH, plain, line, column)}


def test_the_variants_of_an_exit(server: LanguageServer) -> None:
    variants = DEFINITIONS["exit"]["properties"]
    found = offered(server, f"{GOOD}expect:\n  - exits:\n      - ‸\n")
    assert set(found) == set(variants)
    assert "mmio" in found
    for name, item in found.items():
        assert item["documentation"] == variants[name]["description"]
        assert item["insertText"].startswith(f"{name}:")


@pytest.mark.parametrize("where", ["exits", "never"])
def test_they_are_offered_after_the_first_letter(where: str, server: LanguageServer) -> None:
    assert "debug" in offered(server, f"{GOOD}expect:\n  - {where}:\n      - de‸\n")


@pytest.mark.parametrize("exit_", DEFINITIONS["exit"]["properties"])
def test_the_fields_of_each(exit_: str, server: LanguageServer) -> None:
    fields = DEFINITIONS["exit"]["properties"][exit_]["properties"]
    text = f"{GOOD}expect:\n  - exits:\n      - {exit_}:\n          ‸\n"
    assert set(offered(server, text)) == set(fields)


def test_fields_within_brackets_come_with_the_first_letter(server: LanguageServer) -> None:
    text = f"{GOOD}expect:\n  - exits:\n      - mmio: {{read: 1, l‸}}\n"
    assert "len" in offered(server, text)
    assert "read" not in offered(server, text)


def test_actions(server: LanguageServer) -> None:
    found = offered(server, f"{GOOD}before:\n  - ‸\n")
    assert set(found) == set(DEFINITIONS["action"]["properties"])


def test_what_the_scenario_still_lacks(server: LanguageServer) -> None:
    found = offered(server, f"{GOOD}debug: {{}}\n‸\n")
    assert set(found) == set(SCHEMA["properties"]) - {"title", "guest", "debug"}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("devices:\n  uart: {handled_by: ‸}\n", ["userspace", "kernel"]),
        (
            "devices:\n  uart:\n    handled_by: userspace\n    model: ‸\n",
            DEFINITIONS["device"]["properties"]["model"]["enum"],
        ),
        ("vmm: [‸]\n", DEFINITIONS["vmms"]["items"]["enum"]),
        ("debug:\n  single_step: ‸\n", ["true", "false"]),
        (
            "expect:\n  - exits:\n      - interrupted: {exit: ‸}\n",
            DEFINITIONS["exit_reason"]["enum"],
        ),
        ("after_brk: ‸\n", ["continue", "skip", "stay"]),
    ],
)
def test_values(text: str, values: list[str], server: LanguageServer) -> None:
    assert set(offered(server, GOOD + text)) == set(values)


def test_defaults_are_written_as_people_write_them(server: LanguageServer) -> None:
    """A number of 64 bits would be rounded by the editor."""
    assert offered(server, f"{HEAD}guest:\n  ‸\n")["at"]["insertText"] == "at: ${1:0x40000000}"
    reply = offered(server, f"{GOOD}‸\n")["default_reply"]
    assert reply["insertText"] == "default_reply: ${1:0x8877665544332211}"
