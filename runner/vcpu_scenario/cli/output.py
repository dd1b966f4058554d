"""Where output goes: standard output or a file, in colour or not."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any, ClassVar, Final, Self, TextIO, cast

from vcpu_scenario.cli.options import COMMON
from vcpu_scenario.cli.status import CannotWrite
from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.printable import printable, tamed
from vcpu_scenario.host.streams import abandon
from vcpu_scenario.host.writing import Replacement

if TYPE_CHECKING:
    from vcpu_scenario.report.styled import Line


LOG_WIDTH: Final = 100


class Destination(ABC):
    """Where a report goes. A block that ends without one leaves everything as it was."""

    to_file: ClassVar[bool] = True

    @abstractmethod
    def write(self, text: Iterable[str]) -> None:
        """Writes the whole report, in one piece or several; raises :class:`CannotWrite`."""

    def discard(self) -> None:  # noqa: B027  there may be nothing to undo
        """Leaves everything as it was, unless a report was written."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.discard()

    def painted(self, lines: Iterable[Line]) -> str:
        """The lines as they are shown there."""
        return painted(lines, to_file=self.to_file)

    @property
    def width(self) -> int:
        return LOG_WIDTH if self.to_file else width()


class _Stdout(Destination):
    to_file = False

    def write(self, text: Iterable[str]) -> None:
        for piece in _pieces(text):
            say(piece, raw=True)  # a report is safe in its own form


class _File(Destination):
    """A regular file: the report takes its place as a whole, or not at all."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._fresh = Replacement(path)
        except (OSError, ValueError) as error:
            raise _unwritable(path, error) from None

    def write(self, text: Iterable[str]) -> None:
        try:
            with self._fresh as fresh:
                fresh.write_all(piece.encode("utf-8", "surrogateescape") for piece in _pieces(text))
                fresh.commit()
        except OSError as error:
            raise cannot_write(self.path, error) from None

    def discard(self) -> None:
        self._fresh.discard()


class _Special(Destination):
    """A device or a pipe, which cannot be replaced."""

    def __init__(self, path: str) -> None:
        self.path = path
        if not os.access(path, os.W_OK):
            raise UsageError(f"--output: cannot write {printable(path)}: permission denied")

    def write(self, text: Iterable[str]) -> None:
        try:
            with open(self.path, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.writelines(_pieces(text))
        except OSError as error:
            raise cannot_write(self.path, error) from None


def _pieces(text: Iterable[str]) -> Iterable[str]:
    return (text,) if isinstance(text, str) else text


def destination(path: str | None) -> Destination:
    """Where ``--output`` says; standard output for None and ``-``.

    Raises :class:`UsageError` before anything is run where nothing could be written there.
    """
    if path is None or path == "-":
        return _Stdout()
    if not path:
        raise UsageError("--output: no file is named")
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return _File(path)
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None
    if stat.S_ISDIR(mode):
        raise UsageError(f"--output: {printable(path)} is a folder")
    if not stat.S_ISREG(mode):
        return _Special(path)
    return _File(path)


def _unwritable(path: str, error: OSError | ValueError) -> UsageError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UsageError(f"--output: cannot write {printable(path)}: {reason.lower()}")


def cannot_write(path: str | os.PathLike[str], error: OSError) -> CannotWrite:
    """What there is to tell where ``path`` cannot be written."""
    return CannotWrite(f"cannot write {printable(path)}: {error.strerror or error}")


def say(text: str, *, raw: bool = False) -> None:
    """Writes to standard output now, so that it only is read there; ``raw`` is for what goes to
    a program that takes it as it is.

    A reader that has seen enough (``| head``) is no fault: what is left goes nowhere.
    """
    with standard_output(sys.stdout):
        sys.stdout.write(text if raw else tamed(text))
        sys.stdout.flush()


@contextlib.contextmanager
def standard_output(stream: IO[Any]) -> Iterator[None]:
    """A block that does nothing but write to ``stream``; raises :class:`CannotWrite`."""
    try:
        yield
    except BrokenPipeError:
        abandon(stream)
    except OSError as error:
        abandon(stream)
        raise CannotWrite(f"cannot write to standard output: {error.strerror}") from None


class _Guarded:
    """Standard output for a library that writes to it, or to the bytes below it."""

    def __init__(self, stream: Any, failures: list[CannotWrite]) -> None:
        self._stream = stream
        self._failures = failures

    @property
    def buffer(self) -> _Guarded:
        return _Guarded(self._stream.buffer, self._failures)

    def write(self, text: str | bytes) -> int:
        with self._noted():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._noted():
            self._stream.flush()

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            with standard_output(self._stream):
                yield
        except CannotWrite as error:
            # The library probes what it writes to, and takes any exception for an answer.
            self._failures.append(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def guarded_stdout() -> Iterator[None]:
    """Raises :class:`CannotWrite` at its end where anything could not be written meanwhile."""
    failures: list[CannotWrite] = []
    guarded = _Guarded(sys.stdout, failures)
    with contextlib.redirect_stdout(cast("TextIO", guarded)):
        yield
    guarded.flush()
    if failures:
        raise failures[0]


def complain(text: str) -> None:
    """Writes to standard error; where that is gone there is nobody to tell."""
    text = tamed(text)
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text if text.endswith("\n") else f"{text}\n")
        sys.stderr.flush()


def painted(lines: Iterable[Line], *, to_file: bool = False) -> str:
    """The lines as they are shown on standard output, or in a file."""
    from vcpu_scenario.report.styled import coloured, plain

    return (coloured if wants_colour(COMMON.colour, to_file=to_file) else plain)(list(lines))


def wants_colour(choice: str, *, to_file: bool, stream: str = "stdout") -> bool:
    """Whether to colour, by ``--color``, NO_COLOR, FORCE_COLOR and what the output is."""
    if choice != "auto":
        return choice == "always"
    if to_file or os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return os.environ.get("TERM") != "dumb" and is_terminal(stream)


def is_terminal(stream: str) -> bool:
    """Whether ``stdout`` or ``stderr`` is a terminal."""
    file = getattr(sys, stream)
    try:
        return bool(file.isatty())
    except (AttributeError, ValueError):
        return False


def width() -> int:
    """Columns to fill: the terminal's, within reason; a file or a log takes 100."""
    if not is_terminal("stdout"):
        return LOG_WIDTH
    import shutil

    return max(60, min(160, shutil.get_terminal_size().columns))
