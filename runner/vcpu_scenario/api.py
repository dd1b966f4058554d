"""The Python API: load scenarios, run them, hold what came against each other.

>>> from vcpu_scenario import compare, load, run
>>> scenario = load("scenarios/thread/pl011-write-step.vcpu.yaml")
>>> broken, mended = run(scenario, kernels=["5.10", "6.12"])
>>> mended.case.id, mended.verdict
('scenarios/thread/pl011-write-step@6.12/plain', 'pass')

Everything that is returned is a frozen record, and what the records hold is documented at their
classes: :class:`~vcpu_scenario.verdict.result.Result`, :class:`~vcpu_scenario.trace.Trace`,
:class:`~vcpu_scenario.language.model.Scenario`, :class:`~vcpu_scenario.verdict.traces.Comparison`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from vcpu_scenario.errors import UsageError
from vcpu_scenario.language.model import Scenario, ScenarioCase
from vcpu_scenario.running.select import Selection, find, load_all
from vcpu_scenario.source import Diagnostic, InvalidScenario
from vcpu_scenario.trace import Exit, Stop, Trace
from vcpu_scenario.verdict.records import Mismatch
from vcpu_scenario.verdict.result import Result, Verdict
from vcpu_scenario.verdict.traces import Comparison, Difference, compare_traces

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from vcpu_scenario.running.execute import Create

__all__ = [
    "Comparison",
    "Diagnostic",
    "Difference",
    "Exit",
    "InvalidScenario",
    "Mismatch",
    "Result",
    "Scenario",
    "ScenarioCase",
    "Stop",
    "Trace",
    "UsageError",
    "Verdict",
    "compare",
    "dumps",
    "failure_text",
    "load",
    "loads",
    "run",
]

StrPath: TypeAlias = str | os.PathLike[str]
Runnable: TypeAlias = StrPath | Scenario | ScenarioCase
"""What can be run: a file, a folder of files, a scenario, or one of its cases."""


def load(path: StrPath) -> Scenario:
    """Loads the scenario in the file ``path``.

    Its cases get the ids that the command line gives them: relative to the working directory.
    Raises :class:`InvalidScenario`, whose text names everything that is wrong with the file.

    >>> scenario = load("scenarios/thread/pl011-write-step.vcpu.yaml")
    >>> scenario.title
    "single-stepping pl011_write, where 2017's thread began"
    >>> [case.kernel for case in scenario.cases()][:3]
    ['4.14', '4.15', '4.16']
    """
    from vcpu_scenario.language import loader

    path = Path(path)
    scenario = loader.load(path)
    if not path.exists():
        return scenario
    ((_, name),) = find([str(path)])
    return replace(scenario, name=name)


def loads(text: str, path: StrPath = "<text>") -> Scenario:
    """Loads a scenario from ``text``; files that it names are looked for beside ``path``.

    Raises :class:`InvalidScenario`.

    >>> scenario = loads('''
    ... title: a breakpoint
    ... guest: {at: 0x40000000, words: [0xd42000e0]}    # brk #7
    ... debug: {software_breakpoints: true}
    ... expect:
    ...   - exits: [debug: {brk: 0x40000000, imm: 7}]
    ... ''')
    >>> [result.verdict for result in run(scenario, kernels="7.3")]
    ['pass']
    """
    from vcpu_scenario.language import loader

    return loader.loads(text, Path(path))


def dumps(scenario: Mapping[str, Any]) -> str:
    """The text of a scenario that was put together in Python, for :func:`loads` or a file.

    ``scenario`` has the keys of a scenario file, and values of the types that YAML 1.2 has:
    mappings, lists, strings, integers, floats, booleans and None. Raises :class:`TypeError` for
    any other.

    >>> scenario = {"title": "a step", "guest": {"at": 0x40000000, "code": "nop\\nbrk #7\\n"}}
    >>> print(dumps(scenario), end="")
    title: "a step"
    guest:
      at: 1073741824
      code: |
        nop
        brk #7
    """
    from vcpu_scenario.language.dump import dump

    return dump(scenario)


def run(
    what: Runnable | Iterable[Runnable],
    kernels: str | Iterable[str] | None = None,
    vmms: str | Iterable[str] | None = None,
    *,
    keyword: str = "",
    tags: Iterable[str] = (),
    machine: Create | None = None,
    executor: Executor | None = None,
) -> list[Result]:
    """Runs the cases of ``what`` and judges each; the results are in the order of the cases.

    ``kernels`` are releases (``6.12``) or ranges of the known ones (``>=6.1``), ``vmms`` names of
    personalities, ``keyword`` an expression over ids as ``-k`` takes it, and ``tags`` any of
    which a scenario must have: the same as on the command line, and with the same defaults. They
    select among the cases of scenarios; a :class:`ScenarioCase` is run as it is. Where nothing is
    selected the list is empty, which is not success.

    ``machine`` makes the machine for a kernel's name, by default an emulated one. With
    ``executor``, any of :mod:`concurrent.futures` or one like it, the cases are run on it in
    batches, and ``machine`` must be importable where the workers are; without, they are run one
    after the other in this process.

    Raises :class:`InvalidScenario` for everything that is wrong with any of the files, and
    :class:`UsageError` for a path, a kernel, a VMM or an expression that does not exist.

    >>> results = run("scenarios/thread", kernels=[">=6.12"], tags=["pl011"])
    >>> {result.verdict for result in results}
    {'pass'}

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor() as threads:
    ...     again = run("scenarios/thread", ">=6.12", tags=["pl011"], executor=threads)
    >>> again == results
    True
    """
    selection = Selection(_names(kernels), _names(vmms), keyword, tuple(tags))
    single = isinstance(what, (str, os.PathLike, Scenario, ScenarioCase))
    cases = list(_cases([what] if single else what, selection))  # type: ignore[list-item,arg-type]
    if executor is not None:
        from vcpu_scenario.running.batch import run_on

        return list(run_on(executor, cases, machine))
    from vcpu_scenario.machine.emulated.machine import create
    from vcpu_scenario.running.execute import execute

    return [execute(case, machine or create) for case in cases]


def compare(one: Result | Trace, other: Result | Trace) -> Comparison:
    """Holds two runs against each other: exits aligned, and every field that differs named.

    Neither is taken for the truth, and the rules that shaped the exits do not count. Raises
    :class:`ValueError` for a result without a trace, which was not run.

    >>> old, new = run("scenarios/thread/pl011-write-step.vcpu.yaml", ["5.10", "6.12"])
    >>> comparison = compare(old, new)
    >>> comparison.same
    False
    >>> print(comparison.differences[0].words())
    exit 0: flags: nothing, not 0x1

    What exits one of them lacks, with addresses under the names that the guest's code has:

    >>> from vcpu_scenario.verdict.result import guest_of
    >>> for difference in comparison.differences:
    ...     if not difference.field:
    ...         print(difference.words(guest_of(new.case).name))
    exit 5: only in the second: debug exit, step at busy
    exit 8: only in the second: debug exit, step at next
    exit 13: only in the second: debug exit, step at busy
    exit 16: only in the second: debug exit, step at next
    """
    return compare_traces(_trace(one), _trace(other))


def failure_text(*results: Result) -> str:
    """What is wrong with ``results``, in the command line's words; empty where nothing is.

    >>> wrong = loads('''
    ... title: a breakpoint
    ... guest: {at: 0x40000000, words: [0xd42000e0]}    # brk #7
    ... debug: {software_breakpoints: true}
    ... expect:
    ...   - exits: [debug: {brk: 0x40000000, imm: 8}]
    ... ''')
    >>> print(failure_text(*run(wrong, kernels="7.3")), end="")
    a breakpoint
    <text>@7.3/plain
    <BLANKLINE>
    <text>:6:43: field hsr: expected EC 0x3c (BRK #0x8), found 0xf2000007 (BRK #0x7)
       = in exit 0: debug exit, BRK #0x7 at 0x40000000
       = guest: (0x40000000) `brk #7`, <text>:3:33
    """
    from vcpu_scenario.report.styled import plain
    from vcpu_scenario.report.text import alike, failure, not_modelled, without_model

    failed = [result for result in results if result.verdict == "fail"]
    unmodelled = [result for result in results if result.verdict == "not-modelled"]
    told = [plain(failure(group)) for group in alike(failed)]
    told += [plain(without_model(group)) for group in not_modelled(unmodelled)]
    told += [f"\n{r.case.id}\n{r.reason}\n" for r in results if r.verdict == "error"]
    return "".join(told).removeprefix("\n")


def _names(names: str | Iterable[str] | None) -> tuple[str, ...]:
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else tuple(names)


def _cases(what: Iterable[Runnable], selection: Selection) -> Iterable[ScenarioCase]:
    for item in what:
        if isinstance(item, ScenarioCase):
            yield item
        elif isinstance(item, Scenario):
            yield from selection.cases([item])
        else:
            scenarios, diagnostics = load_all(find([os.fspath(item)]))
            if diagnostics:
                raise InvalidScenario(diagnostics)
            yield from selection.cases(scenarios)


def _trace(run_: Result | Trace) -> Trace:
    if isinstance(run_, Trace):
        return run_
    if run_.trace is None:
        raise ValueError(f"{run_.case.id} was not run: {run_.reason}")
    return run_.trace
