"""CONTRIBUTING.md names the places to touch: all of them, and none that is not there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, get_args

import pytest
from vcpu_scenario import case
from vcpu_scenario.cli.reports import FORMATS
from vcpu_scenario.kvm import abi
from vcpu_scenario.vmm.devices import MODELS
from vcpu_scenario.vmm.fields import _DESCRIBE

from .picture import PACKAGE, ROOT

TEXT: Final = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTIONS: Final = dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n)*)", TEXT, re.M))
ITEMS: Final = [
    (title, item)
    for title, text in SECTIONS.items()
    for item in re.findall(r"^\d+\. ((?:.+\n|\n(?= ))+)", text, re.M)
]
_CODE: Final = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_PATH: Final = re.compile(r"[\w.]+(/[\w.]*)+|[\w.]+\.(py|sh|md)|\.ci/\w+")

TABLES: Final = {
    "Add an exit": {abi.EXIT_NAMES[number] for number in _DESCRIBE},
    "Add an action": {action.__name__ for action in get_args(case.Action)},
    "Add a device": set(MODELS),
    "Add a report": set(FORMATS),
}
"""Section to what there is of its kind now: a module that names most of them has to be told of one
more."""


def path_of(name: str) -> Path | None:
    """The file or folder that a name in backticks stands for, None if it is none."""
    if not _PATH.fullmatch(name.removeprefix("./")):
        return None
    inside = PACKAGE / name
    return inside if inside.exists() else ROOT / name


def named(text: str) -> list[Path]:
    return [path for name in _CODE.findall(text) if (path := path_of(name)) is not None]


def symbols(text: str) -> Iterator[str]:
    """Identifiers in backticks, with what they are a member of left out."""
    for name in _CODE.findall(text):
        if path_of(name) is None and re.fullmatch(r"[A-Za-z_.]+\w", name):
            yield name.rpartition(".")[2]


@cache
def vocabulary() -> dict[Path, set[str]]:
    """The names and strings of each module; a number of the uAPI without its prefix."""
    return {path: set(_words(ast.parse(path.read_text()))) for path in PACKAGE.rglob("*.py")}


def _words(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.Constant(value=str(word)):
                yield word.removeprefix("KVM_EXIT_")


def test_every_path_is_there() -> None:
    assert len(named(TEXT)) > 40
    assert [path for path in named(TEXT) if not path.exists()] == []


@pytest.mark.parametrize(("title", "item"), ITEMS, ids=[f"{t}: {i[:20]}" for t, i in ITEMS])
def test_every_name_is_in_a_file_beside_it(title: str, item: str) -> None:
    files = [
        file
        for path in named(item)
        for file in ([path] if path.is_file() else path.rglob("*.py"))
        if file.suffix in (".py", ".json")
    ]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    missing = [name for name in symbols(item) if not re.search(rf"\b{name}\b", text)]
    assert missing == [], title


@pytest.mark.slow
@pytest.mark.parametrize("title", TABLES)
def test_every_module_that_has_to_know_is_named(title: str) -> None:
    kinds = TABLES[title]
    places = named(SECTIONS[title])
    assert len(kinds) >= 4
    for path, known in vocabulary().items():
        if 2 * len(kinds & known) > len(kinds) and not any(map(path.is_relative_to, places)):
            pytest.fail(f"{path.relative_to(ROOT)} knows {', '.join(sorted(kinds & known))}")


def test_the_example_of_a_rule_is_a_rule() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", SECTIONS["Add a rule"], re.S)
    ours = " ".join(example.split())
    theirs = " ".join((PACKAGE / "kernels/rules/mmio.py").read_text(encoding="utf-8").split())
    assert ours in theirs
