"""Archives that Linux can unpack."""

from __future__ import annotations

import stat
from collections.abc import Iterator

from vcpu_scenario.machine.real.lab.cpio import Archive


def entries(archive: bytes) -> Iterator[tuple[str, int, bytes, tuple[int, int]]]:
    """(name, mode, content, (major, minor)) of each entry up to the trailer."""
    at = 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        size, name_size = fields[6], fields[11]
        name = archive[at + 110 : at + 110 + name_size - 1].decode()
        assert archive[at + 110 + name_size - 1] == 0
        start = (at + 110 + name_size + 3) & ~3
        if name == "TRAILER!!!":
            return
        yield name, fields[1], archive[start : start + size], (fields[9], fields[10])
        at = (start + size + 3) & ~3


def test_files_links_and_devices_are_in_it() -> None:
    archive = Archive()
    archive.file("/bin/tool", b"#!", executable=True)
    archive.file("etc/text", b"a")
    archive.symlink("bin/link", "tool")
    archive.character_device("dev/console", 5, 1)
    found = {name: rest for name, *rest in entries(archive.finish())}
    assert found["bin/tool"] == [stat.S_IFREG | 0o755, b"#!", (0, 0)]
    assert found["etc/text"] == [stat.S_IFREG | 0o644, b"a", (0, 0)]
    assert found["bin/link"] == [stat.S_IFLNK | 0o777, b"tool", (0, 0)]
    assert found["dev/console"] == [stat.S_IFCHR | 0o600, b"", (5, 1)]


def test_folders_stand_once_and_before_what_is_in_them() -> None:
    archive = Archive()
    archive.file("a/b/one", b"")
    archive.file("a/b/two", b"")
    names = [name for name, *_ in entries(archive.finish())]
    assert names == ["a", "a/b", "a/b/one", "a/b/two"]


def test_another_archive_may_follow() -> None:
    archive = Archive()
    archive.file("odd", b"abc")
    assert len(archive.finish()) % 4 == 0
