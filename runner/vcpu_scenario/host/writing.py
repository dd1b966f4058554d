"""Writes files that users keep: whole or not at all, each as its owner had it.

A file is made beside the one whose place it takes, without a name where the file system can do
that, so that not even a killed process leaves anything behind. It takes the place once all of it
is on the disk.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_NO_NAMELESS: Final = frozenset(
    {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.ENOSYS}
)
"""What a file system or a kernel says that has no O_TMPFILE."""


class Replacement:
    """The content of a file on its way to it; a context manager that leaves nothing behind.

    Through a link it goes to what the link leads to. Mode and, where that is allowed, owner of a
    file that is there already stay. Every method raises :class:`OSError` with the name of the
    file that was to be written; nothing has changed then.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        with self._named():
            self._target = os.path.realpath(self.path)
            self._before = _regular(self._target)
            self._folder, _ = os.path.split(self._target)
            self._fd, self._name = _open_beside(self._folder)
        try:
            with self._named():
                self._take_over(self._before)
        except BaseException:
            self.discard()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.discard()

    def write(self, data: bytes) -> None:
        """Makes ``data`` all of the content, and brings it to the disk."""
        self.write_all((data,))

    def write_all(self, pieces: Iterable[bytes]) -> None:
        """Makes ``pieces``, one after the other, all of the content; see :meth:`write`."""
        at = 0
        with self._named():
            os.ftruncate(self._fd, 0)
            for piece in pieces:
                left = memoryview(piece)
                while left:
                    done = os.pwrite(self._fd, left, at)
                    left, at = left[done:], at + done
            os.fsync(self._fd)

    def commit(self) -> None:
        """Takes the file's place."""
        with self._named():
            if self._name is None:
                self._name = _fresh_name(self._folder)
                # Given a folder, Python asks for what the link in /proc leads to.
                there = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    os.link(f"/proc/self/fd/{self._fd}", self._name, src_dir_fd=there)
                finally:
                    os.close(there)
            os.replace(self._name, self._target)
        self._name = None
        self.discard()

    def discard(self) -> None:
        """Leaves the file as it is. Nothing happens after :meth:`commit` or another one."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            with contextlib.suppress(OSError):
                os.close(fd)
        if self._name is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._name)
            self._name = None

    def _take_over(self, before: os.stat_result | None) -> None:
        if before is None:
            return
        made = os.fstat(self._fd)
        if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid):
            with contextlib.suppress(PermissionError):
                os.fchown(self._fd, before.st_uid, before.st_gid)
        os.fchmod(self._fd, stat.S_IMODE(before.st_mode))

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise OSError(error.errno or errno.EIO, reason, self.path) from None


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Makes ``data`` the content of ``path``. Raises :class:`OSError`; all is as it was then."""
    write_all([(path, data)])


def write_all(files: Iterable[tuple[str | os.PathLike[str], bytes]]) -> None:
    """Makes each (path, content) so: none of them unless there is room for all.

    Raises :class:`OSError`.
    """
    with contextlib.ExitStack() as undo:
        ready = []
        for path, data in files:
            replacement = undo.enter_context(Replacement(path))
            replacement.write(data)
            ready.append(replacement)
        for replacement in ready:
            replacement.commit()


def make_lasting(folder: Path) -> None:
    """Brings every file in ``folder`` to the disk, so that it may be renamed into place."""
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


def _regular(path: str) -> os.stat_result | None:
    """What is at ``path``, None if nothing; raises where it is not to be replaced."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file")
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return found


def _open_beside(folder: str) -> tuple[int, str | None]:
    """A new file in ``folder``, and its name if it has one."""
    if os.path.isdir("/proc/self/fd"):
        try:
            return os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666), None
        except OSError as error:
            if error.errno not in _NO_NAMELESS:
                raise
    name = _fresh_name(folder)
    return os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666), name


def _fresh_name(folder: str) -> str:
    # Short, whatever the file's own name is: that may have all the length there is.
    return os.path.join(folder, f".scenario-{os.urandom(8).hex()}~")
