"""A file of the user is written whole or not at all, whatever happens, and nothing is left."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from vcpu_scenario.host.writing import Replacement, write_all, write_whole

OLD, NEW = b"old\n" * 100, b"new\n" * 1000
STEPS = ("ftruncate", "pwrite", "fsync", "link", "replace")


@pytest.fixture(params=["nameless", "named"])
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is there already, on a file system with and without nameless files."""
    if request.param == "named":
        monkeypatch.setattr("os.path.isdir", lambda path: False)
    file = tmp_path / "a.vcpu.yaml"
    file.write_bytes(OLD)
    return file


def test_it_becomes_what_is_written_and_nothing_else_is_there(path: Path) -> None:
    write_whole(path, NEW)
    assert path.read_bytes() == NEW
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "fault", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
def test_whatever_fails_leaves_all_as_it_was(
    path: Path, step: str, fault: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(os, step, fail)
    raised: BaseException | None = None
    try:
        write_whole(path, NEW)
    except (OSError, KeyboardInterrupt) as error:
        raised = error
    monkeypatch.undo()
    assert os.listdir(path.parent) == [path.name]
    assert path.read_bytes() == (NEW if raised is None else OLD)
    assert raised is not None or step == "link"  # a file with a name needs none
    if isinstance(raised, OSError):
        assert (raised.errno, raised.filename) == (errno.ENOSPC, str(path))


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_process_killed_at_any_step_leaves_the_old_or_the_new(tmp_path: Path, step: str) -> None:
    file = tmp_path / "a"
    file.write_bytes(OLD)
    script = (
        "import os, signal, sys; from vcpu_scenario.host.writing import write_whole\n"
        f"os.{step} = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_whole(sys.argv[1], b'new')"
    )
    done = subprocess.run([sys.executable, "-c", script, str(file)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert file.read_bytes() == OLD
    if step != "replace":  # between its two last steps it has a name
        assert os.listdir(tmp_path) == ["a"]


def test_a_limit_on_the_size_of_files_is_a_full_disk(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(OLD)
    script = (
        "import resource, sys; from vcpu_scenario.host.writing import write_whole\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write_whole(sys.argv[1], b'n' * 5000)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(file)],
        check=False,
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert "File too large" in done.stderr
    assert file.read_bytes() == OLD
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o666])
def test_its_mode_and_owner_stay(path: Path, mode: int) -> None:
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, 1234, 4321)
    before = path.stat()
    write_whole(path, NEW)
    after = path.stat()
    assert stat.S_IMODE(after.st_mode) == mode
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)


def test_a_new_file_has_the_mode_that_the_user_gives_new_files(path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(path.with_name("b"), NEW)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.with_name("b").stat().st_mode) == 0o640


def test_a_link_stays_and_what_it_leads_to_is_written(path: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    link = tmp_path / "links/b"
    link.symlink_to("../a.vcpu.yaml")
    write_whole(link, NEW)
    assert link.is_symlink()
    assert path.read_bytes() == NEW
    assert os.listdir(tmp_path / "links") == ["b"]


def test_a_link_that_leads_nowhere_yet_makes_its_file(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to("fresh")
    write_whole(link, NEW)
    assert link.is_symlink()
    assert path.with_name("fresh").read_bytes() == NEW


def test_a_name_of_all_the_length_there_is_can_be_written(path: Path) -> None:
    long = path.with_name("n" * 255)
    write_whole(long, NEW)
    assert long.read_bytes() == NEW


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_no_regular_file_is_refused(path: Path, kind: str) -> None:
    other = path.with_name("other")
    if kind == "folder":
        other.mkdir()
    elif kind == "pipe":
        os.mkfifo(other)
    else:
        other.symlink_to("/dev/null")
    with pytest.raises(OSError, match=r"Is a directory|Not a regular file"):
        write_whole(other, NEW)
    assert sorted(os.listdir(path.parent)) == ["a.vcpu.yaml", "other"]
    assert kind != "device" or Path("/dev/null").is_char_device()


def as_nobody(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    drop = "import os, sys; os.geteuid() == 0 and (os.setgid(65534), os.setuid(65534))\n"
    script = f"from vcpu_scenario.host.writing import write_whole\n{drop}{script}"
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        check=False,
        timeout=60,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("where", ["file", "folder"])
def test_what_may_not_be_written_is_not(tmp_path: Path, where: str) -> None:
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    file = tmp_path / "a"
    file.write_bytes(OLD)
    file.chmod(0o444 if where == "file" else 0o666)
    tmp_path.chmod(0o777 if where == "file" else 0o555)
    done = as_nobody("write_whole(sys.argv[1], b'new')", str(file))
    tmp_path.chmod(0o755)
    assert f"Permission denied: '{file}'" in done.stderr
    assert file.read_bytes() == OLD
    assert os.listdir(tmp_path) == ["a"]


def test_of_several_files_all_are_written_or_none(path: Path) -> None:
    (path.parent / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_all([(path, NEW), (path.with_name("b"), NEW), (path.parent / "folder", NEW)])
    assert path.read_bytes() == OLD
    assert sorted(os.listdir(path.parent)) == ["a.vcpu.yaml", "folder"]
    write_all([(path, NEW), (path.with_name("b"), NEW)])
    assert path.read_bytes() == path.with_name("b").read_bytes() == NEW


def test_what_is_written_again_before_it_takes_its_place_is_the_last(path: Path) -> None:
    with Replacement(path) as fresh:
        fresh.write(NEW)
        fresh.write(b"short")
        fresh.commit()
        fresh.discard()
    assert path.read_bytes() == b"short"


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mount") is None,
    reason="only root can mount a small disk, with the program for it",
)
def test_a_disk_that_is_full_loses_nothing(tmp_path: Path) -> None:
    mounted = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(tmp_path)]
    if subprocess.run(mounted, check=False, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        file = tmp_path / "a"
        file.write_bytes(OLD)
        with pytest.raises(OSError, match="No space left on device"):
            write_whole(file, b"n" * 100_000)
        assert file.read_bytes() == OLD
        assert os.listdir(tmp_path) == ["a"]
        write_whole(file, b"n" * 20_000)
        assert file.stat().st_size == 20_000
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
