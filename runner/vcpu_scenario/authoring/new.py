"""``scenario new``: a scenario to start from, with the schema that an editor needs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from msgspec import Struct

from vcpu_scenario.assembly.cache import words_path
from vcpu_scenario.authoring.template import Template, filled
from vcpu_scenario.host.reading import Unreadable, read_json
from vcpu_scenario.host.writing import write_all
from vcpu_scenario.language import SUFFIX
from vcpu_scenario.language.schema import schema_text

SCHEMA: Final = "scenario.schema.json"
_PLACES: Final = (SCHEMA, f"schemas/{SCHEMA}")


class Plan(Struct, frozen=True):
    """What to write: each file with its content."""

    scenario: Path
    files: tuple[tuple[Path, str], ...]

    @property
    def existing(self) -> list[Path]:
        """Those that are there already."""
        return [path for path, _ in self.files if os.path.lexists(path)]

    def carry_out(self) -> None:
        """Writes the files, and the folders that they need. Raises :class:`OSError`, and has
        then written none of them."""
        for path, _ in self.files:
            path.parent.mkdir(parents=True, exist_ok=True)
        write_all((path, text.encode()) for path, text in self.files)


def plan(template: Template, path: Path, title: str, tags: list[str], schema: str) -> Plan:
    """``template`` as the scenario ``path``.

    Its first line names ``schema``; where that is empty, the schema that is found in a folder
    above, and where there is none, a copy beside the scenario.
    """
    copied: list[tuple[Path, str]] = []
    if not schema:
        found = schema_above(path)
        if found is None:
            found = path.parent / SCHEMA
            copied.append((found, schema_text()))
        schema = Path(os.path.relpath(found, path.parent)).as_posix()
    text = filled(template, title, tags, schema, path)
    return Plan(path, ((path, text), (words_path(path), template.words), *copied))


def schema_above(path: Path) -> Path | None:
    """The schema of scenarios in the folder of ``path`` or in one above it."""
    for folder in path.absolute().parents:
        for place in _PLACES:
            if _is_schema(folder / place):
                return folder / place
    return None


def _is_schema(path: Path) -> bool:
    try:
        found = read_json(path, 1 << 20, 1 << 17)
    except Unreadable:
        return False
    return isinstance(found, dict) and "vcpu-scenario" in str(found.get("$id"))


def scenario_path(given: str, title: str) -> Path:
    """The file that ``given`` means: with the suffix that scenarios have, and in a folder named
    for its title."""
    path = Path(given)
    if os.path.isdir(path) or given.endswith("/"):
        path /= file_name(title)
    name = path.name
    if not name.endswith(SUFFIX):
        name = re.sub(r"(\.vcpu)?\.ya?ml$", "", name) + SUFFIX
    return path.with_name(name)


def file_name(title: str) -> str:
    """A name for a scenario with this title."""
    words = re.findall(r"[a-z0-9]+", title.lower())
    return "-".join(words)[:60].strip("-") or "scenario"
