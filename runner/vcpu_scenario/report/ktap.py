"""The report in the kernel's own form, KTAP version 1: a subtest for each kernel.

The form is that of Documentation/dev-tools/ktap.rst; each subtest has the ``# Subtest:`` line
beside its version line, by which tools/testing/kunit finds its name and its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from vcpu_scenario.host.printable import printable, quiet
from vcpu_scenario.kernels.release import parse_release
from vcpu_scenario.report.styled import plain
from vcpu_scenario.report.text import failure
from vcpu_scenario.verdict.result import Result, Verdict, tally

_INDENT: Final = "  "


def report(results: Sequence[Result], *, note: str = "") -> str:
    """The whole report, ended by a line break.

    ``note`` says why there are fewer results than were asked for: that is a test of its own
    which is not ok. Diagnostics come before the result that they belong to.
    """
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.case.kernel, []).append(result)
    kernels = sorted(groups, key=parse_release)
    lines = ["KTAP version 1", f"1..{len(kernels) + bool(note)}"]
    for number, kernel in enumerate(kernels, start=1):
        lines += _subtest(kernel, groups[kernel])
        lines.append(_line(number, _together(groups[kernel]), kernel, ""))
    if note:
        lines.append(f"not ok {len(kernels) + 1} every case was run # ERROR {_flat(note)}")
    lines.append(_totals(results))
    return quiet("\n".join(lines) + "\n")


def _subtest(kernel: str, group: Sequence[Result]) -> Iterator[str]:
    yield f"{_INDENT}KTAP version 1"
    yield f"{_INDENT}# Subtest: {_name(kernel)}"
    yield f"{_INDENT}1..{len(group)}"
    for number, result in enumerate(group, start=1):
        yield from (f"{_INDENT}{f'# {text}'.rstrip()}" for text in _diagnostics(result))
        yield f"{_INDENT}{_line(number, result.verdict, result.case.id, result.reason)}"


def _together(group: Sequence[Result]) -> Verdict:
    """A kernel's own result: that it was skipped only where all of it was."""
    counts = tally(group)
    if counts[Verdict.FAIL] or counts[Verdict.ERROR]:
        return Verdict.FAIL
    if counts[Verdict.NOT_MODELLED]:
        return Verdict.NOT_MODELLED
    return Verdict.SKIP if counts[Verdict.SKIP] == len(group) else Verdict.PASS


def _line(number: int, verdict: Verdict, name: str, reason: str) -> str:
    ok, directive = _RESULTS[verdict]
    why = reason.removeprefix("not modelled: ") if verdict is Verdict.NOT_MODELLED else reason
    said = " ".join(part for part in (directive, _flat(why)) if part)
    return f"{ok} {number} {_name(name)}{f' # {said}' if directive else ''}"


_RESULTS: Final[Mapping[Verdict, tuple[str, str]]] = {
    Verdict.PASS: ("ok", ""),
    Verdict.FAIL: ("not ok", ""),
    Verdict.ERROR: ("not ok", "ERROR"),
    Verdict.SKIP: ("ok", "SKIP"),
    Verdict.XFAIL: ("ok", "XFAIL"),
    Verdict.NOT_MODELLED: ("not ok", "NOT_MODELLED"),
}


def _name(text: str) -> str:
    # A number sign would begin the directive.
    return _flat(text).replace("#", "no.")


def _flat(text: str) -> str:
    return printable(" ".join(text.split()))


def _diagnostics(result: Result) -> list[str]:
    diagnose = _DIAGNOSTICS.get(result.verdict)
    return diagnose(result) if diagnose is not None else []


def _differences(result: Result) -> list[str]:
    return plain(failure([result])).strip("\n").splitlines()


_DIAGNOSTICS: Final[Mapping[Verdict, Callable[[Result], list[str]]]] = {
    Verdict.FAIL: _differences,
    Verdict.XFAIL: _differences,
    Verdict.ERROR: lambda result: [printable(text) for text in result.detail.splitlines()],
    Verdict.NOT_MODELLED: lambda result: [printable(result.detail)],
}


def _totals(results: Sequence[Result]) -> str:
    # As the kernel's selftests count; an unexpected pass is a failure here.
    counts = tally(results)
    told = " ".join(f"{verdict}:{counts[verdict]}" for verdict in counts)
    return f"# Totals: {told}"
