"""Which scenarios and which of their cases a command line is about."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from warnings import warn

from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.printable import printable
from vcpu_scenario.kernels.release import KNOWN_RELEASES, RangeError, parse_range, parse_release
from vcpu_scenario.running.keyword import KeywordError, compile_keyword
from vcpu_scenario.source import Diagnostic, InvalidScenario, did_you_mean
from vcpu_scenario.vmm.personality import PERSONALITIES

if TYPE_CHECKING:
    from vcpu_scenario.language import Scenario, ScenarioCase

SUFFIX = ".vcpu.yaml"


@dataclass(frozen=True, slots=True)
class Selection:
    """What ``--kernel``, ``--vmm``, ``-k`` and ``--tag`` leave of the scenarios.

    ``complain`` receives warnings about the selection, one line each.
    """

    kernels: tuple[str, ...] = ()
    vmms: tuple[str, ...] = ()
    keyword: str = ""
    tags: tuple[str, ...] = ()
    complain: Callable[[str], None] = field(default=warn, compare=False, repr=False)

    def cases(self, scenarios: Sequence[Scenario]) -> list[ScenarioCase]:
        """The cases selected, in the order of the scenarios. Raises :class:`UsageError`."""
        kernels = _kernels(self.kernels, self.complain)
        vmms = _vmms(self.vmms)
        try:
            selects = compile_keyword(self.keyword)
        except KeywordError as error:
            raise UsageError(str(error)) from None
        return [
            case
            for scenario in scenarios
            if not self.tags or set(self.tags) & set(scenario.tags)
            for case in scenario.cases(kernels, vmms)
            if selects(case.id)
        ]


def _kernels(names: Sequence[str], complain: Callable[[str], None]) -> list[str] | None:
    """Releases as named, ranges as the rows in them; None where nothing was named."""
    if not names:
        return None
    found: dict[str, None] = {}
    for name in names:
        found.update(dict.fromkeys(_expand(name, complain)))
    return list(found)


def _expand(name: str, complain: Callable[[str], None]) -> tuple[str, ...]:
    from vcpu_scenario.kernels.table import UnknownKernel, kernel

    try:
        release = str(parse_release(name))
    except RangeError:
        try:
            rows = parse_range(name).rows()
        except RangeError as error:
            expected = f"; expected {error.expected}" if error.expected else ""
            raise UsageError(f"--kernel: {error}{expected}") from None
        if not rows:
            raise UsageError(f"--kernel: no known kernel is in `{name}`") from None
        return rows
    try:
        kernel(release)
    except UnknownKernel as error:
        raise UsageError(f"--kernel: {error}") from None
    newest = KNOWN_RELEASES[-1]
    if parse_release(release).numbers[:2] > parse_release(newest).numbers:
        complain(f"{release} is newer than {newest}, the newest that is known, and taken for it")
    return (release,)


def _vmms(names: Sequence[str]) -> list[str] | None:
    for name in names:
        if name not in PERSONALITIES:
            guess = did_you_mean(name, PERSONALITIES)
            known = ", ".join(PERSONALITIES)
            help_ = f"; {guess}" if guess else ""
            raise UsageError(f"--vmm: no VMM is called `{name}`; there are {known}{help_}")
    return list(names) or None


def find(paths: Sequence[str]) -> list[tuple[Path, str]]:
    """(file, name in ids) of each scenario in ``paths``, each file once.

    A folder gives every ``*.vcpu.yaml`` below it, sorted, hidden folders left out. Raises
    :class:`UsageError` for a path that does not exist.
    """
    missing = [path for path in paths if not os.path.lexists(path)]
    if missing:
        raise UsageError("\n".join(map(_missing, missing)))
    found: dict[Path, tuple[Path, str]] = {}
    for path in map(Path, paths):
        files = _below(path) if path.is_dir() else iter([path])
        folder = path if path.is_dir() else path.parent
        for file in files:
            found.setdefault(_identity(file), (file, _name(file, folder)))
    return list(found.values())


def _missing(path: str) -> str:
    folder = os.path.dirname(path) or "."
    try:
        names = [entry.name for entry in os.scandir(folder)][:1000]
    except OSError:
        names = []
    guess = did_you_mean(os.path.basename(path.rstrip("/")), names)
    return f"no such file or folder: {printable(path)}" + (f"; {guess}" if guess else "")


def _below(folder: Path) -> Iterator[Path]:
    # Not os.walk(), which calls itself for each folder in a folder.
    left = [str(folder)]
    while left:
        here = left.pop()
        try:
            with os.scandir(here) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            _unreadable(error)
        shown = [entry for entry in entries if not entry.name.startswith(".")]
        folders = [entry.path for entry in shown if entry.is_dir(follow_symlinks=False)]
        left += reversed(folders)
        yield from (
            Path(entry.path)
            for entry in shown
            if entry.name.endswith(SUFFIX) and not entry.is_dir()
        )


def _unreadable(error: OSError) -> NoReturn:
    raise UsageError(f"cannot read the folder {printable(error.filename)}: {error.strerror}")


def _identity(file: Path) -> Path:
    try:
        return file.resolve()
    except (OSError, RuntimeError):
        return file.absolute()


def _name(file: Path, folder: Path) -> str:
    """The file relative to the current folder, so that ids are the same however it is named;
    elsewhere relative to ``folder``, the one that was named."""
    name = os.path.relpath(file)
    if name.startswith(os.pardir):
        name = os.path.relpath(file, folder)
    return Path(name).as_posix().removesuffix(SUFFIX)


def load_all(files: Sequence[tuple[Path, str]]) -> tuple[list[Scenario], list[Diagnostic]]:
    """Load every file. Returns the scenarios and the errors of all files."""
    from vcpu_scenario.language import load

    scenarios: list[Scenario] = []
    diagnostics: list[Diagnostic] = []
    for file, name in files:
        try:
            scenarios.append(replace(load(file), name=name))
        except InvalidScenario as invalid:
            diagnostics += invalid.diagnostics
    return _distinct(scenarios), diagnostics


def _distinct(scenarios: list[Scenario]) -> list[Scenario]:
    """Files of one name in several folders that were named get their whole path as a name."""
    times = Counter(scenario.name for scenario in scenarios)
    return [
        scenario
        if times[scenario.name] == 1
        else replace(scenario, name=scenario.path.as_posix().removesuffix(SUFFIX))
        for scenario in scenarios
    ]
