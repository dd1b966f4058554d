"""``scenario export``: a scenario as a program of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from vcpu_scenario.cli.loading import count, scenarios_of
from vcpu_scenario.cli.nothing import NO_CASE
from vcpu_scenario.cli.output import cannot_write, complain, destination, say
from vcpu_scenario.cli.status import Status
from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.printable import printable, quiet
from vcpu_scenario.host.writing import write_whole
from vcpu_scenario.running.select import Selection

if TYPE_CHECKING:
    from vcpu_scenario.export.subject import Subject
    from vcpu_scenario.language import Scenario

_CASE: Final = re.compile(
    r"(?P<name>[^\[@]*)(?P<params>\[.*\])?(?:@(?P<kernel>[^/@]+))?(?:/(?P<vmm>[\w-]+))?\Z",
    re.DOTALL,
)


class _Asked(NamedTuple):
    """A path, and what of its scenario is meant; None for all."""

    path: str
    params: str | None = None
    kernel: str | None = None
    vmm: str | None = None


def export(
    paths: Sequence[str],
    form: str,
    kernels: Sequence[str],
    vmms: Sequence[str],
    keyword: str,
    output: str | None,
    *,
    words: bool,
) -> Status:
    """Writes a program for each scenario, combination of parameters and VMM that is selected, and
    tells of those that cannot be one."""
    asked = [_asked(path) for path in paths]
    selection = Selection(tuple(kernels), tuple(vmms), keyword, complain=complain)
    choice = selection.choice()
    found: list[Subject] = []
    for each in asked:
        scenarios = scenarios_of([each.path])
        for scenario in scenarios:
            found += _subjects(scenario, each, choice.kernels, choice.vmms, choice.selects)
    if not found:
        complain(NO_CASE)
        return Status.NOTHING_SELECTED
    folder = output is not None and (output.endswith("/") or os.path.isdir(output))
    if len(found) > 1 and not folder:
        raise UsageError(
            f"{count(len(found), 'program')}: name a folder, `--output FOLDER/`, or one case, "
            "`FILE::CASE`"
        )
    return _write(found, form, output, folder=folder, words=words)


def _asked(text: str) -> _Asked:
    path, colons, case = text.rpartition("::")
    if not colons or os.path.lexists(text):
        return _Asked(text)
    match = _CASE.match(case)
    if match is None:
        raise UsageError(f"no case is called so: {printable(case)}")
    return _Asked(path, match["params"] or "", match["kernel"], match["vmm"])


def _subjects(
    scenario: Scenario,
    asked: _Asked,
    kernels: Sequence[str] | None,
    vmms: Sequence[str] | None,
    selects: Callable[[str], bool],
) -> Iterator[Subject]:
    from vcpu_scenario.export.refusal import Unexportable
    from vcpu_scenario.export.subject import subjects

    named = [asked.kernel] if asked.kernel is not None else kernels or ()
    personalities = [asked.vmm] if asked.vmm is not None else vmms or ()
    try:
        for subject in subjects(scenario, named, personalities):
            meant = asked.params is None or subject.combination.name == asked.params
            if meant and selects(subject.name):
                yield subject
    except Unexportable as refusal:
        raise UsageError(f"{scenario.name}: cannot be exported: {refusal.what}") from None


def _program(subject: Subject, form: str, *, words: bool) -> str:
    from vcpu_scenario.export import styles
    from vcpu_scenario.export.c import program

    style = {"c": styles.C, "selftest": styles.SELFTEST}[form]
    return quiet(program(subject, style=style, words=words))


_SUFFIX: Final = ".c"


def _write(
    found: Sequence[Subject],
    form: str,
    output: str | None,
    *,
    folder: bool,
    words: bool,
) -> Status:
    from vcpu_scenario.export.refusal import Unexportable

    status = Status.OK
    names: set[str] = set()
    for subject in found:
        try:
            text = _program(subject, form, words=words)
        except Unexportable as refusal:
            complain(f"{printable(subject.name)}: cannot be exported: {refusal.what}")
            status = Status.USAGE
            continue
        if output is None or not folder:
            destination(output).write(text)
        else:
            say(f"{_into(output, subject.file_name, names, text)}\n")
    return status


def _into(folder: str, name: str, names: set[str], text: str) -> str:
    number, unique = 1, name
    while unique in names:
        number += 1
        unique = f"{name}-{number}"
    names.add(unique)
    path = Path(folder) / f"{unique}{_SUFFIX}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())
    except OSError as error:
        raise cannot_write(path, error) from None
    return str(path)
