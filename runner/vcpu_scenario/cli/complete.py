"""What the shell offers at a press of Tab: kernels, VMMs, tags, templates and paths."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from itertools import islice
from pathlib import Path
from typing import Final

_MOST_FILES: Final = 500
"""Scenarios whose tags are looked up: who waits for Tab does not wait for more."""


def kernels(incomplete: str) -> list[str]:
    """Releases of the table, newest last, and words for some of them."""
    from vcpu_scenario.kernels.release import KNOWN_RELEASES, WORDS

    return _starting(incomplete, (*KNOWN_RELEASES, *WORDS))


def machines(incomplete: str) -> list[str]:
    """What ``--machine`` takes: the emulated machine, this host's KVM, and the labs."""
    from vcpu_scenario.kernels.release import KNOWN_RELEASES

    known = ["emulated", "kvm", *(f"lab:{name}" for name in lab_kernels(""))]
    if incomplete.startswith("emulated:"):
        known = [f"emulated:{name}" for name in KNOWN_RELEASES]
    return _starting(incomplete, known)


def cpus(incomplete: str) -> list[str]:
    """The CPUs that are emulated."""
    from vcpu_scenario.arm64.cpumodels import CPUS

    return _starting(incomplete, CPUS)


def hosts(incomplete: str) -> list[str]:
    """The hosts that a scenario may name."""
    from vcpu_scenario.kernels.hosts import WORDS

    return _starting(incomplete, WORDS)


def lab_kernels(incomplete: str) -> list[str]:
    """The kernels that a lab boots."""
    from vcpu_scenario.machine.real.lab.kernels import CATALOGUE

    return _starting(incomplete, CATALOGUE)


def vmms(incomplete: str) -> list[str]:
    """VMM personalities."""
    from vcpu_scenario.vmm.vmms import VMMS

    return _starting(incomplete, VMMS)


def debugged(incomplete: str) -> list[str]:
    """VMMs that `scenario debug` can be."""
    from vcpu_scenario.vmm.vmms import VMMS

    return _starting(incomplete, VMMS)


def templates(incomplete: str) -> list[tuple[str, str]]:
    """What ``scenario new`` can start from, each with its title."""
    from vcpu_scenario.authoring.template import templates as known

    return [
        (each.name, each.title) for each in known().values() if each.name.startswith(incomplete)
    ]


def tags(incomplete: str) -> list[str]:
    """The tags of the scenarios that the command line names, or of those below this folder."""
    files = islice(_scenarios(_named() or ["."]), _MOST_FILES)
    found = {tag for file in files for tag in _tags(file)}
    return _starting(incomplete, sorted(found))


def _named() -> list[str]:
    """The paths on the command line so far.

    They come from the shell: Typer gives up on arguments where an option still lacks its value.
    """
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    return [word for word in line.split()[2:] if os.path.exists(word)]


def paths(incomplete: str) -> list[str]:
    """Scenarios and folders.

    Where only one folder is left, what is in it is offered with it: else the shell would take
    the folder for the end of the word.
    """
    found = list(_entries(incomplete))
    while len(found) == 1 and found[0].endswith("/"):
        below = list(_entries(found[0]))
        if len(below) != 1:
            return found + below
        found = below
    return found


def _entries(incomplete: str) -> Iterator[str]:
    from vcpu_scenario.running.paths import SUFFIX

    folder, name = os.path.split(incomplete)
    try:
        entries = sorted(os.scandir(os.path.expanduser(folder) or "."), key=lambda each: each.name)
    except OSError:
        return
    for entry in entries:
        if not entry.name.startswith(name) or (entry.name.startswith(".") and not name):
            continue
        if entry.is_dir():
            yield os.path.join(folder, entry.name) + "/"
        elif entry.name.endswith(SUFFIX):
            yield os.path.join(folder, entry.name)


def _scenarios(paths: Iterable[str]) -> Iterator[Path]:
    from vcpu_scenario.running.paths import SUFFIX

    for path in map(Path, paths):
        if path.is_dir():
            for here, folders, files in os.walk(path):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                yield from (Path(here, name) for name in sorted(files) if name.endswith(SUFFIX))
        else:
            yield path


def _tags(file: Path) -> list[str]:
    from vcpu_scenario.language import yaml12
    from vcpu_scenario.language.loader import read_text
    from vcpu_scenario.language.nodes import to_plain, value_at
    from vcpu_scenario.source import InvalidScenario

    try:
        root, _ = yaml12.parse(read_text(file), str(file))
    except InvalidScenario:
        return []
    node = value_at(root, "tags")
    found = to_plain(node) if node is not None else []
    found = [found] if isinstance(found, str) else found
    return [tag for tag in found if isinstance(tag, str)] if isinstance(found, list) else []


@contextmanager
def words_of_bash() -> Iterator[None]:
    """Has what is asked for meanwhile see whole words.

    In bash a colon ends a word and is one of its own (``COMP_WORDBREAKS``), but none for us. What
    is offered then takes the place of what is behind the last colon.
    """
    begin = _join_words() if os.environ.get("_SCENARIO_COMPLETE") == "complete_bash" else ""
    if not begin:
        yield
        return
    offered = io.StringIO()
    try:
        with redirect_stdout(offered):
            yield
    finally:  # Typer leaves by SystemExit
        for line in offered.getvalue().splitlines():
            print(line.removeprefix(begin))


def _join_words() -> str:
    """Mends what the shell says of its line; returns the word at the cursor up to its last colon,
    that included."""
    words, current = os.environ["COMP_WORDS"].split("\n"), int(os.environ["COMP_CWORD"])
    joined = words[:1]
    for word in words[1 : current + 1]:
        if word == ":" or (word and joined[-1].endswith(":")):
            joined[-1] += word
        else:
            joined.append(word)
    os.environ["COMP_WORDS"] = "\n".join(joined)
    os.environ["COMP_CWORD"] = str(len(joined) - 1)
    begin, colon, _ = joined[-1].rpartition(":")
    return begin + colon


def _starting(incomplete: str, candidates: Iterable[str]) -> list[str]:
    return [each for each in candidates if each.startswith(incomplete)]
