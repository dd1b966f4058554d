"""Which scenarios and which of their cases a command line is about."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TypeVar
from warnings import warn

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.printable import printable
from vcpu_scenario.kernels.meant import kernels_meant
from vcpu_scenario.kernels.release import KNOWN_RELEASES, RangeError, parse_range, parse_release
from vcpu_scenario.language.permission import granted
from vcpu_scenario.running.keyword import KeywordError, compile_keyword
from vcpu_scenario.source import Diagnostic, InvalidScenario, did_you_mean
from vcpu_scenario.vmm.vmms import VMMS

if TYPE_CHECKING:
    from vcpu_scenario.language import Scenario, ScenarioCase
    from vcpu_scenario.language.model import Place

Made = TypeVar("Made")

SUFFIX = ".vcpu.yaml"
_SHORTER = ".vcpu.yml"


class Selection(Struct, frozen=True):
    """What ``--kernel``, ``--vmm``, ``-k`` and ``--tag`` leave of the scenarios, on ``hosts``: by
    name (:mod:`vcpu_scenario.kernels.hosts`), and all that a scenario names where there are none.

    ``complain`` receives warnings about the selection, one line each.
    """

    kernels: tuple[str, ...] = ()
    vmms: tuple[str, ...] = ()
    keyword: str = ""
    tags: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    complain: Callable[[str], None] = warn

    def cases(self, scenarios: Sequence[Scenario]) -> list[ScenarioCase]:
        """The cases selected, in the order of the scenarios. Raises :class:`UsageError`."""
        choice = self.choice()
        return [
            case
            for scenario in scenarios
            if choice.takes(scenario)
            for case in scenario.cases(choice.kernels, choice.vmms, choice.hosts)
            if choice.selects(case.id)
        ]

    def choice(self) -> Choice:
        """What was asked for, made out once. Raises :class:`UsageError`."""
        kernels = _kernels(self.kernels, self.complain)
        _check_hosts(kernels or (), self.hosts)
        vmms = _vmms(self.vmms)
        try:
            selects = compile_keyword(self.keyword)
        except KeywordError as error:
            raise UsageError(str(error)) from None
        return Choice(kernels, vmms, frozenset(self.tags), selects, self.hosts)


class Choice(NamedTuple):
    """A selection that has been made out: releases and VMMs by name, None for all."""

    kernels: Sequence[str] | None
    vmms: Sequence[str] | None
    tags: frozenset[str]
    selects: Callable[[str], bool]
    hosts: Sequence[str] = ()

    def takes(self, scenario: Scenario) -> bool:
        """Whether the scenario has one of the tags."""
        return not self.tags or not self.tags.isdisjoint(scenario.tags)

    def places(self, scenario: Scenario) -> Iterator[Place]:
        """Those of the scenario's places whose cases are selected."""
        if self.takes(scenario):
            for place in scenario.places(self.kernels, self.vmms, self.hosts):
                if self.selects(place.id):
                    yield place


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
            raise UsageError(no_kernels(name, error)) from None
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


def _check_hosts(kernels: Sequence[str], hosts: Sequence[str]) -> None:
    """Raises :class:`UsageError` for a kernel that names another host than those asked for: it
    would run there, and what was asked for be dropped."""
    for name in kernels if hosts else ():
        release = parse_release(name)
        if release.host and release.host not in hosts:
            alone = release.on("")
            raise UsageError(
                f"--kernel: {name} is on another host than --cpu and --host ask for; "
                f"say all of it in one place: leave them out, or name the kernel alone, {alone}"
            )


def no_kernels(name: str, error: RangeError) -> str:
    """What ``--kernel name`` is told, with what was meant or else what may stand there."""
    expected = f"expected {error.expected}" if error.expected else ""
    return f"--kernel: {error}; {kernels_meant(name) or expected}".removesuffix("; ")


def _vmms(names: Sequence[str]) -> list[str] | None:
    for name in names:
        if name not in VMMS:
            guess = did_you_mean(name, VMMS)
            known = ", ".join(VMMS)
            help_ = f"; {guess}" if guess else ""
            raise UsageError(f"--vmm: no VMM is called `{name}`; there are {known}{help_}")
    return list(names) or None


def find(paths: Sequence[str], complain: Callable[[str], None] = warn) -> list[tuple[Path, str]]:
    """(file, name in ids) of each scenario in ``paths``, each file once.

    A folder gives every ``*.vcpu.yaml`` below it, sorted, hidden folders and links to folders left
    out; ``complain`` receives a line for each of what may be missed. Raises :class:`UsageError` for
    a path that does not exist or that gives nothing where others do, and as :func:`check_within`.
    """
    missing = [path for path in paths if not os.path.lexists(path)]
    if missing:
        raise UsageError("\n".join(map(_missing, missing)))
    found: dict[Path, tuple[Path, str]] = {}
    idle: dict[Path, None] = {}
    for path in map(Path, paths):
        searched = path.is_dir()
        files = list(_below(path, complain)) if searched else [path]
        if not files:
            idle[path] = None
        folder = path if searched else path.parent
        allowed = (_identity(folder), *granted()) if searched else ()
        for file in files:
            real = _identity(file)
            if searched:
                _refuse_outside(file, real, allowed)
            found.setdefault(real, (file, _name(file, folder)))
    if found and idle:
        none = (f"no scenario (*{SUFFIX}) was found in {printable(path)}" for path in idle)
        raise UsageError("\n".join(none))
    return _distinct(list(found.values()))


def check_within(file: Path, folder: Path) -> None:
    """Raises :class:`UsageError` for a link, found in ``folder``, that leads out of it, and into
    none that is allowed: it may have come with the folder, and of a file with faults lines are
    shown."""
    _refuse_outside(file, _identity(file), (_identity(folder), *granted()))


def _refuse_outside(file: Path, real: Path, allowed: Iterable[Path]) -> None:
    if not any(map(real.is_relative_to, allowed)):
        raise UsageError(f"{printable(file)} is a link out of the folder; name it to use it")


def _distinct(files: list[tuple[Path, str]]) -> list[tuple[Path, str]]:
    """Files of one name in several folders that were named get their whole path as a name."""
    times = Counter(name for _, name in files)
    return [
        (file, name if times[name] == 1 else file.as_posix().removesuffix(SUFFIX))
        for file, name in files
    ]


def _missing(path: str) -> str:
    folder = os.path.dirname(path) or "."
    try:
        names = [entry.name for entry in os.scandir(folder)][:1000]
    except OSError:
        names = []
    guess = did_you_mean(os.path.basename(path.rstrip("/")), names)
    return f"no such file or folder: {printable(path)}" + (f"; {guess}" if guess else "")


def _below(folder: Path, complain: Callable[[str], None]) -> Iterator[Path]:
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
        for entry in shown:
            if (why := _passed_over(entry, folder)) is not None:
                complain(f"{printable(entry.path)} is passed over: {why}")
        yield from (
            Path(entry.path)
            for entry in shown
            if entry.name.endswith(SUFFIX) and not entry.is_dir()
        )


def _passed_over(entry: os.DirEntry[str], folder: Path) -> str | None:
    """Why ``entry``, met below ``folder``, gives no scenario where one may be expected of it."""
    if entry.is_dir():
        if entry.is_symlink() and not _comes_anyway(Path(entry.path), folder):
            return "it is a link to a folder; name it to use it"
    elif entry.name.endswith(_SHORTER):
        return f"the name of a scenario ends in {SUFFIX}"
    return None


def _comes_anyway(link: Path, folder: Path) -> bool:
    """Whether the folder that ``link`` leads to is met below ``folder`` as itself."""
    real, top = _identity(link), _identity(folder)
    if not real.is_relative_to(top):
        return False
    return not any(part.startswith(".") for part in real.relative_to(top).parts)


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
    return scenarios, diagnostics


def made_of(
    files: Sequence[tuple[Path, str]],
    make: Callable[[Scenario], Made],
    *,
    strictly: bool = False,
) -> Generator[Made | InvalidScenario, None, None]:
    """What ``make`` gives for each scenario, or what is wrong with it, in the files' order.

    Every file is loaded, and let go again, in one of as many processes as there are processors.
    With ``strictly`` a file is held against the schema by ``jsonschema`` as well.
    """
    from vcpu_scenario.language import load
    from vcpu_scenario.running.each import done_for_each

    def work(number: int) -> Made | InvalidScenario:
        file, name = files[number]
        try:
            return make(replace(load(file, strictly=strictly), name=name))
        except InvalidScenario as invalid:
            return invalid

    return done_for_each(work, len(files))
