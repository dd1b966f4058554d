"""The cache never holds half an entry."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from vcpu_scenario.machine.real.errors import LabError
from vcpu_scenario.machine.real.lab import cache


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "6.12"


def make(target: Path, content: str) -> None:
    with cache.replacing(target) as work:
        (work.scratch / "download").write_text("x")
        (work.entry / "vmlinuz").write_text(content)


def left(target: Path) -> set[str]:
    """What is in the cache's folder, the lock left out."""
    return {entry.name for entry in target.parent.iterdir() if not entry.name.endswith("-lock")}


def test_an_entry_appears_when_it_is_done(target: Path) -> None:
    with cache.replacing(target) as work:
        (work.entry / "vmlinuz").write_text("new")
        assert not target.exists()
    assert (target / "vmlinuz").read_text() == "new"
    assert left(target) == {"6.12"}


def test_an_entry_takes_the_place_of_an_older_one(target: Path) -> None:
    make(target, "old")
    make(target, "new")
    assert (target / "vmlinuz").read_text() == "new"
    assert left(target) == {"6.12"}


def fail_half_way(target: Path, error: BaseException) -> None:
    with cache.replacing(target) as work:
        (work.entry / "vmlinuz").write_text("ha")
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), LabError("no"), ValueError("no")])
def test_what_fails_half_way_leaves_the_old_entry(target: Path, error: BaseException) -> None:
    make(target, "old")
    with pytest.raises(type(error)):
        fail_half_way(target, error)
    assert (target / "vmlinuz").read_text() == "old"
    assert left(target) == {"6.12"}


def test_a_full_disk_is_told_and_leaves_nothing(target: Path) -> None:
    with pytest.raises(LabError, match="No space left on device"):
        fail_half_way(target, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert left(target) == set()


def test_what_a_killed_process_left_is_cleared(target: Path) -> None:
    target.parent.mkdir(parents=True)
    with cache.replacing(target) as work:
        killed = work.entry.parent
        abandoned = killed.with_name(killed.name + "abandoned")
    (abandoned / "entry").mkdir(parents=True)
    make(target, "new")
    assert left(target) == {"6.12"}


def test_work_on_another_entry_is_let_be(target: Path) -> None:
    with cache.replacing(target.with_name("6.12.107")) as work:
        make(target, "new")
        assert work.entry.exists()
    assert left(target) == {"6.12", "6.12.107"}


def test_the_cache_is_where_xdg_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.root() == tmp_path / "vcpu-scenario" / "lab"


def test_without_xdg_it_is_in_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.root() == tmp_path / ".cache" / "vcpu-scenario" / "lab"
