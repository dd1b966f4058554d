"""Which scenarios and which of their cases a command line is about."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from warnings import warn

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.errors import UsageError
from vcpu_scenario.kernels.meant import kernels_meant
from vcpu_scenario.kernels.release import KNOWN_RELEASES, RangeError, parse_range, parse_release
from vcpu_scenario.running.keyword import compile_keyword
from vcpu_scenario.source import Diagnostic, InvalidScenario, did_you_mean
from vcpu_scenario.vmm.vmms import VMMS

if TYPE_CHECKING:
    from vcpu_scenario.language import Scenario, ScenarioCase
    from vcpu_scenario.language.model import Place

Made = TypeVar("Made")


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

    def wherever_meant(self, scenario: Scenario) -> list[ScenarioCase]:
        """The same of one scenario, on all releases that it is for where none is asked for,
        whatever it expects there, and with its first VMM."""
        kernels = self.kernels or tuple(scenario.audience.rows(self.hosts))
        return replace(self, kernels=kernels, vmms=self.vmms or tuple(scenario.vmms[:1])).cases(
            [scenario]
        )

    def choice(self) -> Choice:
        """What was asked for, resolved once. Raises :class:`UsageError`."""
        kernels = _kernels(self.kernels, self.complain)
        _check_hosts(kernels or (), self.hosts)
        vmms = _vmms(self.vmms)
        selects = compile_keyword(self.keyword)
        return Choice(kernels, vmms, frozenset(self.tags), selects, self.hosts)


class Choice(NamedTuple):
    """A selection that has been resolved: releases and VMMs by name, None for all."""

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
    With ``strictly`` a file is compared with the schema by ``jsonschema`` as well.
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
