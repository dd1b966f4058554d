"""The layout of the code: its direction, the size of its modules, and the page about it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import goldenfiles

from . import picture

PAGE = picture.ROOT / "docs/architecture.md"
_BEGIN, _END = "```mermaid\n", "```\n"


def test_every_room_has_its_layer() -> None:
    placed = {room for layer in picture.layers() for room in layer}
    assert placed == picture.rooms()


def test_every_room_has_its_folder_of_tests() -> None:
    packages = {room for room in picture.rooms() if (picture.PACKAGE / room).is_dir()}
    assert {room.removeprefix("pytest_") for room in packages} <= {
        path.parent.name for path in (picture.ROOT / "tests").glob("*/__init__.py")
    }


@pytest.mark.slow
def test_what_stands_higher_uses_what_stands_below_it() -> None:
    height = {room: n for n, layer in enumerate(picture.layers()) for room in layer}
    upward = [
        f"{room} uses {other}"
        for room, used in picture.uses().items()
        if room != "__init__"  # the face of the package
        for other in used
        if height[other] <= height[room]
    ]
    assert upward == []


@pytest.mark.slow
def test_the_contracts_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    if not lint.exists() and shutil.which("lint-imports") is None:
        pytest.skip("no import-linter")
    done = subprocess.run(
        [str(lint), "--config", "../pyproject.toml", "--no-cache"],
        cwd=picture.ROOT / "runner",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_picture_of_the_house_is_made_from_the_code() -> None:
    """``./test.sh --golden`` draws it anew."""
    text = PAGE.read_text()
    head, _, rest = text.partition(_BEGIN)
    shown, _, tail = rest.partition(_END)
    if goldenfiles.are_renewed():
        PAGE.write_text(f"{head}{_BEGIN}{picture.diagram()}{_END}{tail}")
        return
    assert shown == picture.diagram()


def test_every_module_that_the_page_names_is_there() -> None:
    import re

    names = re.findall(r"`([a-z_0-9/]+/|[a-z_0-9/]+\.py)`", PAGE.read_text())
    assert names
    missing = [name for name in names if not (picture.PACKAGE / name).exists()]
    missing = [name for name in missing if not (picture.ROOT / name).exists()]
    assert missing == []
