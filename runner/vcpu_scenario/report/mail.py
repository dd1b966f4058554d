"""What goes into a mail about a scenario: what it is, what each release does, what was run where
and how to repeat it. As text for a mailing list and as Markdown for a tracker.

It says nothing of a kernel that was not run, and of a real one only what it did.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from msgspec import Struct

from vcpu_scenario.analysis.history import Group, History
from vcpu_scenario.host.printable import printable, quiet
from vcpu_scenario.report.exitdiff import exits
from vcpu_scenario.report.history import kernels_of, rows, why
from vcpu_scenario.report.markdown import escaped, fence
from vcpu_scenario.verdict.result import Result, Verdict
from vcpu_scenario.verdict.traces import compare_traces

WIDTH: Final = 72
_MOST_MISMATCHES: Final = 3
_COMMENTED: Final = re.compile(r"(.*?\S)\s*(//.*)\Z")

_WORDS: Final[Mapping[Verdict, str]] = {
    Verdict.PASS: "as expected",
    Verdict.FAIL: "NOT as expected",
    Verdict.ERROR: "failed to run",
    Verdict.SKIP: "not compared",
    Verdict.XFAIL: "fails as known",
    Verdict.NOT_MODELLED: "not modelled",
}


class OnReal(Struct, frozen=True):
    """What one real kernel did: ``machine`` as the command line names it, ``itself`` as the kernel
    does."""

    machine: str
    itself: str
    result: Result


class Evidence(Struct, frozen=True):
    """All that was run for one scenario with one VMM and one combination of parameters.

    ``code`` is the guest's assembly; ``results`` are those of the emulated machine, by kernel;
    ``commands`` are those that run the same again, each as its words, ``program`` those that make
    and run the C program of it, none where there can be none, and ``version`` is the runner's.
    """

    history: History
    code: str
    results: Mapping[str, Result]
    real: tuple[OnReal, ...]
    commands: tuple[tuple[str, ...], ...]
    program: tuple[tuple[str, ...], ...]
    version: str


# -- what is said, whatever the form --------------------------------------------------------------


def _verdicts(evidence: Evidence, group: Group) -> list[tuple[str, str]]:
    """(kernels, verdict) for each run of a group's kernels that fare alike."""
    out = []
    for words, run in groupby(group.kernels, lambda kernel: _verdict(evidence, kernel)):
        kernels = list(run)
        out.append((_span(kernels), words))
    return out


def _verdict(evidence: Evidence, kernel: str) -> str:
    result = evidence.results.get(kernel)
    return _WORDS[result.verdict] if result is not None else "not run"


def _span(kernels: Sequence[str]) -> str:
    return kernels[0] if len(kernels) == 1 else f"{kernels[0]} to {kernels[-1]}"


def _table(evidence: Evidence) -> list[tuple[str, str, str]]:
    """(kernels, verdict, what differs from the group before and why) for each."""
    out = []
    for group, (_, what, because) in zip(
        evidence.history.groups, rows(evidence.history), strict=True
    ):
        told = ": ".join(filter(None, (what, because)))
        for number, (kernels, verdict) in enumerate(_verdicts(evidence, group)):
            out.append((kernels, verdict, told if not number else "the same"))
    out += [(kernel, "left out", reason) for kernel, reason in evidence.history.left_out]
    return out


def _failures(evidence: Evidence, group: Group) -> Iterator[str]:
    """How the first kernel of a group that is not as expected parts from its clause."""
    for kernel in group.kernels:
        result = evidence.results.get(kernel)
        if result is not None and result.verdict is Verdict.FAIL:
            mismatches = result.mismatches
            yield from (f"{kernel}: {found.message}" for found in mismatches[:_MOST_MISMATCHES])
            if (more := len(mismatches) - _MOST_MISMATCHES) > 0:
                yield f"{kernel}: and {more} more"
            return


def _machines(evidence: Evidence) -> Iterator[str]:
    """What was run where, a sentence each."""
    kernels = [kernel for group in evidence.history.groups for kernel in group.kernels]
    yield (
        f"Emulated KVM/arm64 of {len(kernels)} release{'' if len(kernels) == 1 else 's'},"
        f" {_span(kernels)} (vcpu-scenario {evidence.version})."
    )
    if not evidence.real:
        yield "No real kernel was run for this report."
    for real in evidence.real:
        yield f"Linux {real.itself} ({real.machine}): {_on_real(evidence, real)}."


def _on_real(evidence: Evidence, real: OnReal) -> str:
    result = real.result
    words = _WORDS[result.verdict]
    if result.trace is None:
        return f"{words}: {result.reason}"
    emulated = evidence.results.get(result.case.kernel)
    if emulated is None or emulated.trace is None:
        return words
    comparison = compare_traces(emulated.trace, result.trace)
    if comparison.same:
        return f"{words}; every exit and field is as emulated for {result.case.kernel}"
    first = comparison.differences[0].words()
    first = first.replace("the first", "the emulated run").replace("the second", "the real one")
    return f"{words}, and not as emulated: {first}"


# -- as text --------------------------------------------------------------------------------------


def text(every: Sequence[Evidence]) -> str:
    """A mail of lines of at most :data:`WIDTH` columns, but for names and instructions that are
    longer themselves."""
    return quiet("\n\n".join("\n".join(_text(each)) for each in every) + "\n")


def _text(evidence: Evidence) -> Iterator[str]:
    scenario = evidence.history.case.scenario
    yield from _wrapped(f"Subject: {scenario.title}", "  ")
    for paragraph in filter(None, scenario.about.split("\n\n")):
        yield ""
        yield from _wrapped(" ".join(paragraph.split()))
    yield from _heading("The guest")
    yield from (part for line in evidence.code.rstrip().split("\n") for part in _code(line))
    yield from _heading("What each release does, emulated")
    yield from _text_table(_table(evidence))
    for number, group in enumerate(evidence.history.groups):
        yield from _heading(kernels_of(group))
        for mark, shown in exits(evidence.history, number):
            yield from _wrapped(shown, " " * 7, f"{mark} ")
        for found in _failures(evidence, group):
            yield from _wrapped(found, "    ", "! ")
        for shown in why(group.change):
            yield from _wrapped(shown.strip(), "  ", "    " if shown.startswith(" ") else "")
    yield from _heading("What was run")
    for sentence in _machines(evidence):
        yield from _wrapped(sentence, "  ", "- ")
    yield from _heading("To repeat it")
    yield from (line for command in evidence.commands for line in _command(command))
    if evidence.program:
        yield ""
        yield from _wrapped("As a C program that needs /dev/kvm and nothing else:")
        yield ""
        yield from (line for command in evidence.program for line in _command(command))


def _heading(words: str) -> Iterator[str]:
    yield from ("", words, "-" * len(words))


def _wrapped(words: str, following: str = "", first: str = "") -> Iterator[str]:
    indent = " " * len(first) + following
    yield from textwrap.wrap(
        printable(words),
        WIDTH,
        initial_indent=first,
        subsequent_indent=indent,
        break_on_hyphens=False,
        drop_whitespace=True,
    )


def _code(line: str) -> Iterator[str]:
    """A line of assembly; where it is too long its comment comes nearer, or stands above it."""
    commented = _COMMENTED.match(line)
    if commented is not None and len(line) + 4 > WIDTH:
        code, said = commented.groups()
        if len(code) + len(said) + 6 <= WIDTH:
            line = f"{code}  {said}"
        else:
            line = code
            yield from _wrapped(said, "// ", "    ")
    yield f"    {printable(line)}".rstrip()


def _command(words: Sequence[str]) -> Iterator[str]:
    """A command, broken between its words where it is too long."""
    line = "   "
    for word in map(_quoted, words):
        if len(line) + len(word) + 3 > WIDTH and line.strip():
            yield f"{line} \\"
            line = "       "
        line += f" {word}"
    yield line


def _joined(words: Sequence[str]) -> str:
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    """A word as any shell takes it; one that would act where it is shown, as bash takes it."""
    shown = quiet(printable(word))
    if shown == word:
        return shlex.quote(word)
    safe = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{quiet(printable(safe))}'"


def _text_table(table: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in table) for column in (0, 1)]
    for kernels, verdict, told in table:
        first = f"{kernels:<{widths[0]}}  {verdict:<{widths[1]}}  "
        yield from (line.rstrip() for line in _wrapped(told or "-", "", first))


# -- as Markdown ----------------------------------------------------------------------------------


def markdown(every: Sequence[Evidence]) -> str:
    """The same for a tracker."""
    return quiet("\n\n".join("\n".join(_markdown(each)) for each in every) + "\n")


def _markdown(evidence: Evidence) -> Iterator[str]:
    scenario = evidence.history.case.scenario
    yield f"## {escaped(scenario.title)}"
    for paragraph in filter(None, scenario.about.split("\n\n")):
        yield from ("", escaped(paragraph))
    yield from ("", "### The guest", "")
    yield from _fenced(evidence.code.rstrip(), "asm")
    yield from ("", "### What each release does, emulated", "")
    yield "| releases | verdict | first difference, because of |"
    yield "| --- | --- | --- |"
    for row in _table(evidence):
        yield f"| {' | '.join(escaped(cell) for cell in row)} |"
    for number, group in enumerate(evidence.history.groups):
        yield from ("", f"### {kernels_of(group)}", "")
        diff = [f"{mark} {shown}".rstrip() for mark, shown in exits(evidence.history, number)]
        yield from _fenced("\n".join(map(printable, diff)), "diff")
        told = [*_failures(evidence, group), *why(group.change)]
        for place, shown in enumerate(told):
            yield from [""] if not place else []
            yield f"{'  ' if shown.startswith(' ') else ''}- {escaped(shown.strip())}"
    yield from ("", "### What was run", "")
    yield from (f"- {escaped(sentence)}" for sentence in _machines(evidence))
    yield from ("", "### To repeat it", "")
    yield from _fenced("\n".join(map(_joined, evidence.commands)), "sh")
    if evidence.program:
        yield from ("", "As a C program that needs /dev/kvm and nothing else:", "")
        yield from _fenced("\n".join(map(_joined, evidence.program)), "sh")


def _fenced(text: str, language: str) -> Iterator[str]:
    mark = fence(text)
    yield f"{mark}{language}"
    yield from text.split("\n")
    yield mark
