"""Writes cpio archives in the ``newc`` format that Linux unpacks as an initramfs.

``Documentation/driver-api/early-userspace/buffer-format.rst``.
"""

from __future__ import annotations

import stat
from pathlib import PurePosixPath

_TRAILER = "TRAILER!!!"


class Archive:
    """An archive in memory; folders on the way to an entry are made as they are needed."""

    def __init__(self) -> None:
        self._out = bytearray()
        self._folders = {PurePosixPath(".")}
        self._inode = 0

    def file(self, path: str, data: bytes, *, executable: bool = False) -> None:
        self._entry(path, stat.S_IFREG | (0o755 if executable else 0o644), data)

    def symlink(self, path: str, target: str) -> None:
        self._entry(path, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, path: str, major: int, minor: int) -> None:
        self._entry(path, stat.S_IFCHR | 0o600, b"", device=(major, minor))

    def finish(self) -> bytes:
        """The archive, padded so that another may follow it."""
        self._header(_TRAILER, 0, b"", (0, 0))
        return bytes(self._out)

    def _entry(self, path: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> None:
        name = PurePosixPath(path.lstrip("/"))
        for folder in reversed(name.parents):
            if folder not in self._folders:
                self._folders.add(folder)
                self._header(str(folder), stat.S_IFDIR | 0o755, b"", (0, 0))
        self._header(str(name), mode, data, device)

    def _header(self, name: str, mode: int, data: bytes, device: tuple[int, int]) -> None:
        self._inode += 1
        encoded = name.encode() + b"\0"
        owner = group = modified = check = 0
        fields = (
            self._inode,
            mode,
            owner,
            group,
            1,
            modified,
            len(data),
            *(0, 0),
            *device,
            len(encoded),
            check,
        )
        self._out += b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
        self._pad()
        self._out += data
        self._pad()

    def _pad(self) -> None:
        self._out += bytes(-len(self._out) % 4)
