"""Files outside of a scenario's folder: none, but in a folder that whoever runs it allows."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from vcpu_scenario import load as api_load
from vcpu_scenario import loads as api_loads
from vcpu_scenario.errors import UsageError
from vcpu_scenario.language import load
from vcpu_scenario.language.permission import grant, granted, granting
from vcpu_scenario.source import InvalidScenario

BRK = bytes.fromhex("000020d4")
TEXT = """\
title: code from elsewhere
guest: {binary: NAME}
debug: {software_breakpoints: true}
expect: [{exits: [debug: {brk: 0x40000000}]}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``own`` with scenarios, ``build`` with what they run, and ``other``."""
    for name in ("own", "build/sub", "other"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("build/fw.bin", "build/sub/fw.bin", "other/fw.bin"):
        (tmp_path / name).write_bytes(BRK)
    return tmp_path


def written(folder: Path, name: str) -> Path:
    path = folder / "own" / "made.vcpu.yaml"
    path.write_text(TEXT.replace("NAME", name))
    return path


@pytest.mark.parametrize("name", ["../build/fw.bin", "../build/sub/fw.bin", "{build}/fw.bin"])
def test_a_file_in_an_allowed_folder_is_read(folder: Path, name: str) -> None:
    path = written(folder, name.replace("{build}", str(folder / "build")))
    with pytest.raises(InvalidScenario, match="outside the scenario's folder"):
        load(path)
    with granting([folder / "build"]):
        assert load(path).combinations[0].case.loads[0].data == BRK
    with pytest.raises(InvalidScenario, match="outside the scenario's folder"):
        load(path)


@pytest.mark.parametrize(
    "name",
    [
        "../other/fw.bin",
        "../build/../other/fw.bin",
        "../build/link.bin",
        "../build/up/fw.bin",
        "../buildings/fw.bin",
        "../build",
        "/etc/hostname",
    ],
)
def test_nothing_else_is(folder: Path, name: str) -> None:
    (folder / "build" / "link.bin").symlink_to(folder / "other" / "fw.bin")
    (folder / "build" / "up").symlink_to(folder / "other")
    (folder / "buildings").mkdir()
    (folder / "buildings" / "fw.bin").write_bytes(BRK)
    path = written(folder, name)
    with granting([folder / "build"]), pytest.raises(InvalidScenario, match="cannot read the file"):
        load(path)


def test_a_link_to_an_allowed_folder_or_in_the_scenarios_own_may_lead_there(folder: Path) -> None:
    (folder / "current").symlink_to(folder / "build")
    (folder / "own" / "fw.bin").symlink_to(folder / "build" / "fw.bin")
    for allowed, name in (("current", "../build/fw.bin"), ("build", "fw.bin")):
        with granting([folder / allowed]):
            assert load(written(folder, name))


def test_a_message_says_where_files_may_be(folder: Path) -> None:
    path = written(folder, "../build/none.bin")
    with granting([folder / "build"]), pytest.raises(InvalidScenario) as raised:
        load(path)
    (found,) = raised.value.diagnostics
    assert found.expected == f"a file in {folder / 'own'}/ or a file in {folder / 'build'}/"


def test_what_is_no_folder_cannot_be_allowed(folder: Path) -> None:
    for name, why in (("none", "no such file"), ("build/fw.bin", "not a folder"), ("a\0", "NUL")):
        with pytest.raises(UsageError, match=why), granting([f"{folder}/{name}"]):
            pass
    assert granted() == ()


def test_permission_ends_with_the_block_and_goes_to_no_other_thread(folder: Path) -> None:
    seen = []
    with granting([folder / "build"]):
        with granting([folder / "other"]):
            grant([folder / "own"])
            assert granted() == tuple(folder / name for name in ("build", "other", "own"))
        assert granted() == (folder / "build",)
        thread = threading.Thread(target=lambda: seen.append(granted()))
        thread.start()
        thread.join()
    assert granted() == ()
    assert seen == [()]


def test_python_allows_folders_for_one_scenario(folder: Path) -> None:
    path = written(folder, "../build/fw.bin")
    assert api_load(path, allow_dirs=[folder / "build"])
    assert api_loads(path.read_text(), path, allow_dirs=[str(folder / "build")])
    with pytest.raises(InvalidScenario):
        api_load(path)
