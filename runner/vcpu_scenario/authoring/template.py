"""Scenarios to start from: each passes as it is, on every kernel that it is for."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from vcpu_scenario.assembly.cache import words_path
from vcpu_scenario.authoring.formatting import formatted
from vcpu_scenario.language import SUFFIX, yaml12
from vcpu_scenario.language.nodes import Sequence, text_of, to_plain, value_at

FOLDER: Final = Path(__file__).parent / "templates"
MODELINE: Final = "# yaml-language-server: $schema="


class Template(NamedTuple):
    """A scenario of this package: ``name`` is what the command line calls it."""

    name: str
    title: str
    text: str
    words: str
    """Its assembled words, so that a copy runs where there is no assembler."""


@cache
def templates() -> dict[str, Template]:
    """Every template by its name."""
    return {each.name: each for each in map(_template, sorted(FOLDER.glob(f"*{SUFFIX}")))}


def _template(path: Path) -> Template:
    text = path.read_text(encoding="utf-8")
    words = words_path(path).read_text(encoding="utf-8")
    return Template(path.name.removesuffix(SUFFIX), _title(text), text, words)


def filled(template: Template, title: str, tags: list[str], schema: str, path: Path) -> str:
    """The text of ``template`` as the scenario ``path``; ``schema`` is where its schema is.

    Without a title or tags it has those of the template.
    """
    lines = [f"{MODELINE}{schema}", *template.text.split("\n")[1:]]
    if title:
        _replace(lines, "title", _text(title))
    if tags:
        _replace(lines, "tags", f"[{', '.join(map(_text, tags))}]")
    return formatted("\n".join(lines), path)


def _replace(lines: list[str], key: str, value: str) -> None:
    number = next(n for n, line in enumerate(lines) if line.startswith(f"{key}: "))
    lines[number] = f"{key}: {value}"


def _text(value: str) -> str:
    """``value`` as a scalar, in quotes where it would be something else without."""
    node, faults = yaml12.parse(f"[{value}]", "")
    plain = not faults and isinstance(node, Sequence) and to_plain(node) == [value]
    if plain and yaml12.parse(f"key: {value}", "")[0] is not None:
        return value
    return json.dumps(value, ensure_ascii=False)


def _title(text: str) -> str:
    root, _ = yaml12.parse(text, "")
    return text_of(value_at(root, "title"))
