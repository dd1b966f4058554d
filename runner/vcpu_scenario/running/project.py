"""What a project says of its scenarios, in the ``pyproject.toml`` of the folder at hand."""

from __future__ import annotations

import tomllib
from pathlib import Path, PurePosixPath
from typing import Final

from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.reading import Unreadable, read_regular, reason

_FILE: Final = "pyproject.toml"
_LIMIT: Final = 1 << 20
_WHERE: Final = f"[tool.vcpu-scenario] of {_FILE}"


def paths_of_project() -> list[str]:
    """Where scenarios are for a command that names no path: ``paths``, or else this folder.

    A path leads to this folder or below, as the file may be a stranger's. Raises
    :class:`UsageError`.
    """
    if not Path(_FILE).exists():
        return ["."]
    try:
        tool = tomllib.loads(read_regular(Path(_FILE), _LIMIT).decode()).get("tool", {})
    except (Unreadable, ValueError) as error:
        raise UsageError(f"{_FILE}: {reason(error)}") from None
    said = tool.get("vcpu-scenario", {}) if isinstance(tool, dict) else {}
    paths = said.get("paths", ["."]) if isinstance(said, dict) else None
    if not isinstance(paths, list) or not paths or not all(map(_is_below, paths)):
        raise UsageError(f"{_WHERE}: paths: expected a list of folders or files in this folder")
    return paths


def _is_below(path: object) -> bool:
    if not isinstance(path, str) or not path:
        return False
    parts = PurePosixPath(path)
    return not parts.is_absolute() and ".." not in parts.parts
