"""The editor shows the description of the key under the mouse."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Final

import pytest
from vcpu_scenario.authoring.concrete import Group, Leaf, read
from vcpu_scenario.authoring.style import Place, root

from tests.language.build import EVERYTHING

from .client import LanguageServer
from .conftest import ROOT
from .marked import HEAD, cursor

pytestmark = pytest.mark.slow  # a language server is asked

PATH: Final = ROOT / "scenarios/made.vcpu.yaml"


def shown(server: LanguageServer, text: str) -> str:
    """What is shown at the cursor, as plain text."""
    found = server.hover(PATH, *cursor(text))
    return html.unescape(found.replace("&nbsp;", " ")).replace("\\", "")


def keys(group: Group, place: Place) -> Iterator[tuple[Leaf, str]]:
    """Every key of ``group`` that is a name, with its description."""
    for entry in group.entries:
        below = place.of(entry)
        if entry.key is not None and not entry.key.value[0].isdigit():
            described = place.schema.get("properties", {}).get(entry.key.value)
            further = described or place.schema["additionalProperties"]
            yield entry.key, further["description"]
        if isinstance(entry.value, Group):
            yield from keys(entry.value, below)


def test_every_key_of_the_language_is_described(server: LanguageServer) -> None:
    document = read(EVERYTHING)
    assert isinstance(document.root, Group)
    silent = []
    count = 0
    for key, description in keys(document.root, root()):
        count += 1
        found = server.hover(PATH, EVERYTHING, key.start.line, key.start.column + 1)
        if description not in html.unescape(found.replace("&nbsp;", " ")).replace("\\", ""):
            silent.append((key.start, key.value, found))
    assert not silent
    assert count > 200


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("mm‸io: {read: 1}", "KVM_EXIT_MMIO. Either read or write says which"),
        ("mmio: {re‸ad: 1}", "A read (mmio.is_write 0) at this mmio.phys_addr."),
        ("debug: {after_em‸ulation: true}", "ISV 0 in hsr"),
    ],
)
def test_an_exit_and_its_fields(text: str, description: str, server: LanguageServer) -> None:
    head = f"{HEAD}title: t\nguest: {{words: [1]}}\nexpect:\n  - exits:\n      - "
    assert description in shown(server, f"{head}{text}\n")
