"""``python -m tests.field 5.10 6.12``: shipped scenarios before tracers on real kernels.

What each kernel's ftrace says of each case is kept in ``tests/recorded/field/KERNEL.json.xz``, and
what strace and trace-cmd say of some: a JSON object of texts by tracer and the case's id.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from vcpu_scenario.interchange.cases import case_to_json
from vcpu_scenario.language import ScenarioCase
from vcpu_scenario.machine.real.lab import Ended, Lab, Program
from vcpu_scenario.machine.real.lab.options import LabOptions
from vcpu_scenario.machine.real.lab.qemu import GicVersion

from tests.field.held import differences
from tests.field.recorded import cases, keep
from tests.field.tools import tools

HERE: Final = Path(__file__).parent
_AT_ONCE: Final = 12
_LONGEST: Final = 200_000
"""Characters of a trace that is kept: those of guests that spin are longer."""
_FEW: Final = ("thread/pl011", "watchpoints/", "in-kernel/")
"""Cases that are held to the model on every run in CI, by a part of their ids."""
_HAS_EXIT: Final = re.compile(r"kvm_userspace_exit:|KVM_RUN\b")
"""A case that ends before its first KVM_RUN returns has no trace."""
_TRACERS: Final = ("ftrace", "strace", "strace_kvm", "trace_cmd")
_OF_TIME: Final = ("scenarios/interrupts/a-timers-line-is-told", "scenarios/vcpus/turns")
"""How often they poll, and where turns end, is the clock's choice."""
_UNTRACED: Final = "scenarios/pmu/set-up-by-attributes"
"""That KVM_RUN was refused for want of an initialised PMU is in no trace since 5.17, and a draft
that has none goes on."""
_BY_TOOLS: Final = (
    "thread/pl011-write-step",
    "watchpoints/step-past-the-access",
    "rules/psci-system-events",
    "no-syndrome/enosys",
)
"""Cases that strace and trace-cmd are asked for as well, by a part of their ids."""


def traces(
    lab: Lab, tracer: str, chosen: Sequence[ScenarioCase], tools: str = ""
) -> Iterator[tuple[str, str]]:
    """(id, what ``tracer`` said) of each of ``chosen`` that does not take its guest along."""
    for gic in (3, 2):
        alike = [case for case in chosen if _gic(case) == gic]
        for start in range(0, len(alike), _AT_ONCE):
            some = alike[start : start + _AT_ONCE]
            texts = _traced(lab, tracer, some, tools)
            if texts is None:
                texts = [(_traced(lab, tracer, [case], tools) or [""])[0] for case in some]
            found = zip(some, texts, strict=True)
            yield from ((case.id, text) for case, text in found if _HAS_EXIT.search(text))


def _gic(case: ScenarioCase) -> GicVersion:
    return 3 if case.case.gic is None else case.case.gic.version


def _traced(lab: Lab, tracer: str, some: Sequence[ScenarioCase], tools: str) -> list[str] | None:
    packed = json.dumps([case_to_json(case.case) for case in some])
    program = f"{_GUEST}main({tracer!r}, {packed!r}, {tools!r})\n"
    ended = lab.execute(Program("traced", program.encode(), (), 60.0), _gic(some[0]))
    if not isinstance(ended, Ended):
        print(f"{tracer}: {ended.reason}", file=sys.stderr)
        return None
    if ended.status:
        last = ended.output.strip().splitlines()[-1:]
        print(f"{tracer}: {', '.join(case.id for case in some)}: {last}", file=sys.stderr)
        return None
    texts: list[str] = json.loads(zlib.decompress(base64.b64decode(ended.output.split()[-1])))
    return texts


_GUEST: Final = (HERE / "guest.py").read_text()


def _hold(kernel: str) -> int:
    """Some cases under ftrace, beside the model: 1 if any differs."""
    chosen = [case for case in cases(kernel).values() if any(part in case.id for part in _FEW)]
    status = 0
    with Lab(kernel, LabOptions()) as lab:
        found = dict(traces(lab, "ftrace", chosen))
    with tempfile.TemporaryDirectory() as folder:
        for case in chosen:
            text = found.get(case.id)
            said = ["no trace"] if text is None else differences(Path(folder), case, text)
            for each in said:
                print(f"{case.id}: {each}")
                status = 1
    print(f"lab:{kernel}: {len(found)} traces, {'as the model' if not status else 'differing'}")
    return status


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.field", description=__doc__)
    parser.add_argument("kernels", nargs="+", metavar="KERNEL", help="kernel to ask (6.12)")
    parser.add_argument("--hold", action="store_true", help="keep nothing: hold a few to the model")
    parser.add_argument("--only", default="", help="only cases with this in their ids")
    parser.add_argument("--tracer", action="append", choices=_TRACERS, help="by default all")
    given = parser.parse_args()
    if given.hold:
        return max(map(_hold, given.kernels))
    lent = tools()
    for kernel in given.kernels:
        first = {
            name.partition("[")[0].partition("@")[0]: name for name in reversed(list(cases(kernel)))
        }
        chosen = [
            case
            for name, case in cases(kernel).items()
            if name in first.values()
            and given.only in name
            and not name.startswith((*_OF_TIME, _UNTRACED))
        ]
        few = [case for case in chosen if any(part in case.id for part in _BY_TOOLS)]
        found: dict[str, dict[str, str]] = {}
        try:
            with Lab(kernel, LabOptions()) as lab:
                for tracer in given.tracer or _TRACERS:
                    some = (chosen, "") if tracer == "ftrace" else (few, lent)
                    of_it = found[tracer] = {}
                    came = traces(lab, tracer, *some)
                    of_it.update((name, text) for name, text in came if len(text) < _LONGEST)
                    print(f"{kernel}: {tracer}: {len(of_it)} cases", file=sys.stderr)
        finally:
            keep(kernel, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
