"""The rooms of the package and who uses whom, as a Mermaid diagram made from the imports."""

from __future__ import annotations

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "runner" / "vcpu_scenario"
_NAME: Final = PACKAGE.name


def layers() -> list[list[str]]:
    """The rooms of each layer, the highest first, as the contract in pyproject.toml has them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = (each for each in settings["contracts"] if each["type"] == "layers")
    return [
        [room.strip().removeprefix(f"{_NAME}.") for room in layer.split("|")]
        for layer in contract["layers"]
    ]


@cache
def rooms() -> set[str]:
    """Every package and module directly in the package."""
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    return packages | {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}


def uses() -> dict[str, set[str]]:
    """Each room with the rooms that its modules import, also where only types are named."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        found[room] |= {other for other in _imports(path) if other != room}
    return found


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{name.name}" for name in node.names]
        elif isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        else:
            continue
        for name in names:
            first, _, rest = name.partition(".")
            if first == _NAME and (room := rest.partition(".")[0]) in rooms():
                yield room


def diagram() -> str:
    """A box for each layer; an arrow from each room to those that it uses, one layer apart or
    more, but for the records at the bottom, which every room uses."""
    order = layers()
    bottom = {room for layer in order[-2:] for room in layer}
    lines = ["flowchart TD"]
    for number, layer in enumerate(order):
        lines.append(f"  subgraph layer{number}[ ]")
        lines += [f"    {room}" for room in layer]
        lines.append("  end")
    used = uses()
    for layer in order:
        for room in layer:
            lines += [f"  {room} --> {other}" for other in sorted(used[room] - bottom)]
    return "\n".join(lines) + "\n"
