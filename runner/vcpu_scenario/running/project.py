"""What a project says of its scenarios, in the ``pyproject.toml`` of the folder at hand."""

from __future__ import annotations

from errno import ELOOP
from pathlib import Path
from typing import Final

from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.printable import printable
from vcpu_scenario.host.reading import Unreadable, read_regular

_FILE: Final = "pyproject.toml"
_LIMIT: Final = 1 << 16
_WHERE: Final = f"[tool.vcpu-scenario] of {_FILE}"


def paths_of_project() -> list[str]:
    """Where scenarios are for a command that names no path: ``paths``, or else this folder.

    A path leads to this folder or below, also by links, as the file may be a stranger's. Raises
    :class:`UsageError`.
    """
    if not Path(_FILE).exists():
        return ["."]
    import tomllib

    try:
        tool = tomllib.loads(read_regular(Path(_FILE), _LIMIT).decode()).get("tool", {})
    except Unreadable as error:
        raise UsageError(f"{_FILE}: {error}") from None
    except (ValueError, RecursionError) as error:
        what = "nested too deep" if isinstance(error, RecursionError) else printable(str(error))
        raise UsageError(f"{_FILE}: not TOML: {what}") from None
    said = tool.get("vcpu-scenario", {}) if isinstance(tool, dict) else {}
    if not isinstance(said, dict) or said.keys() - {"paths"}:
        raise UsageError(f"{_WHERE}: expected a table with the key paths, and no other")
    paths = said.get("paths", ["."])
    if not isinstance(paths, list) or not paths or not all(map(_is_below, paths)):
        raise UsageError(f"{_WHERE}: paths: expected a list of folders or files in this folder")
    return paths


def _is_below(path: object) -> bool:
    if not isinstance(path, str) or not path or "\0" in path:
        return False
    try:
        return not _loops(path) and Path(path).resolve().is_relative_to(Path.cwd().resolve())
    except OSError:
        return False


def _loops(path: str) -> bool:
    """Whether links lead to each other, which ``resolve`` does not tell since Python 3.13."""
    try:
        Path(path).stat()
    except OSError as error:
        return error.errno == ELOOP
    return False
