"""What holds for a run as a whole, in C: exits that must not come, stops that a debugger is told
of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vcpu_scenario.arm64 import esr
from vcpu_scenario.expectation import Expectation, ExpectedStop
from vcpu_scenario.export.conditions import CLASS_NAMES, conditions, register
from vcpu_scenario.export.names import Names
from vcpu_scenario.export.subject import Branch
from vcpu_scenario.export.text import comment, function, joined

_REASONS: Final = {
    "step": esr.EC_SOFTSTP_LOW,
    "brk": esr.EC_BRK64,
    "hardware_breakpoint": esr.EC_BREAKPT_LOW,
    "watchpoint": esr.EC_WATCHPT_LOW,
}


def never(branch: Branch, names: Names) -> Iterator[str]:
    """The function that looks for exits that must not come."""
    banned = branch.clause.expectation.never
    if not banned:
        return
    body: list[str] = []
    for item in banned:
        body += joined(conditions(item, names) or ["true"], "if (", ")")
        body += ["\tunexpected_at_all();"]
    yield from comment("Exits that must not come")
    yield from function(f"static void check_never{branch.suffix}(void)", body)
    yield ""


def stops(branch: Branch, names: Names) -> Iterator[str]:
    """The function that looks at what a debugger is told of."""
    expected = branch.clause.expectation.stops
    if expected is None:
        return
    body = ["switch (nr) {"]
    for number, stop in enumerate(expected):
        body += [f"case {number}:", *(f"\t{line}" for line in _stop(stop, names)), "\tbreak;"]
    body += ["default:", '\tunexpected("nothing more to stop for");', "}"]
    yield from comment("What a debugger is told of, in this order")
    yield from function(f"static void check_stop{branch.suffix}(int nr)", body)
    yield ""


def _stop(stop: ExpectedStop, names: Names) -> Iterator[str]:
    yield f"expect(same(exit_pc, {names.address(stop.pc)}));"
    if stop.reason is not None:
        name = CLASS_NAMES[_REASONS[stop.reason]]
        yield f"expect(same(told_class(), {name}));"
    yield from (f"expect({register(check, names)});" for check in stop.regs)


def hooks(branch: Branch) -> list[str]:
    """The lines that have these functions called after each exit."""
    expectation = branch.clause.expectation
    out = []
    if expectation.never:
        out.append(f"when_run = check_never{branch.suffix};")
    if expectation.stops is not None:
        out.append(f"when_told = check_stop{branch.suffix};")
    return [*out, ""] if out else []


def told_all(expectation: Expectation) -> list[str]:
    """That no stop is missing at the end."""
    if expectation.stops is None:
        return []
    return [f"expect_at_the_end(same(nr_stops, {len(expectation.stops)}));"]
