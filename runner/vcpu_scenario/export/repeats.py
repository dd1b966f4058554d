"""Exits that may come more or less often, in C: a table of places, and where in it a run may be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from vcpu_scenario.expectation import ExpectedExit
from vcpu_scenario.export.conditions import conditions
from vcpu_scenario.export.names import Names
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.export.subject import Branch
from vcpu_scenario.export.text import comment, function, joined

_MOST_PLACES: Final = 1000


def fits(branch: Branch, exits: Sequence[ExpectedExit], names: Names) -> Iterator[str]:
    """The table and which exit fits where. Raises :class:`Unexportable`."""
    cases: list[str] = []
    for number, item in enumerate(exits):
        fitting = conditions(item, names) or ["true"]
        cases += [f"case {number}:", *joined(fitting, "\treturn ", ";")]
    body = ["switch (nr) {", *cases, "default:", "\treturn false;", "}"]
    places = list(_places(exits))
    yield from comment("Whether the last exit is the one expected with this number")
    yield from function(f"static bool fits{branch.suffix}(int nr)", body)
    yield ""
    yield f"static const struct expected_exit exits{branch.suffix}[] = {{"
    yield from (f"\t{{ {number}, {how_often} }}," for number, how_often in places)
    yield "};"
    yield ""
    if len(places) > _MOST_PLACES:
        raise Unexportable(
            f"exits that repeat {len(places)} times or fewer: at most {_MOST_PLACES}"
        )


def _places(exits: Sequence[ExpectedExit]) -> Iterator[tuple[int, str]]:
    for number, item in enumerate(exits):
        yield from ((number, "ONCE") for _ in range(min(item.least, _MOST_PLACES + 1)))
        if item.most is None:
            yield number, "ANY"
        else:
            more = min(item.most - item.least, _MOST_PLACES + 1)
            yield from ((number, "MAYBE") for _ in range(more))


def declared(branch: Branch) -> list[str]:
    """The variables of the run."""
    table = f"exits{branch.suffix}"
    return [
        f"const int count = ARRAY_SIZE({table});",
        f"bool places[ARRAY_SIZE({table}) + 1] = {{ true }};",
    ]


def in_some_order(branch: Branch) -> list[str]:
    """The run, of which each exit has to be in one of the places where it may be."""
    table, suffix = f"exits{branch.suffix}", branch.suffix
    return [
        f"leave_out(places, {table}, count);",
        "do {",
        "\trun_vcpu();",
        f"\tif (!go_further(places, {table}, count, fits{suffix}))",
        '\t\tunexpected("one that may come here");',
        f"}} while (go_on{suffix}());",
        "if (!places[count])",
        '\tfail("after exit %d: others were expected, and none came", nr_exits - 1);',
        "",
    ]
