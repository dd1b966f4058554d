"""``scenario new``: asks, or takes flags, and writes a scenario that passes."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from vcpu_scenario.cli.output import cannot_write, say
from vcpu_scenario.cli.status import Status
from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.printable import printable
from vcpu_scenario.source import did_you_mean, quoted

if TYPE_CHECKING:
    from vcpu_scenario.authoring.new import Plan
    from vcpu_scenario.authoring.template import Template

DEFAULT = "step-over-mmio"


class Request(Struct, frozen=True):
    """What the command line says; None or empty where it says nothing."""

    path: str | None
    template: str | None
    title: str | None
    tags: Sequence[str]
    schema: str
    force: bool


def new(request: Request) -> Status:
    """Writes the scenario that ``request`` is for, after asking for what it leaves open."""
    from vcpu_scenario.authoring.new import file_name, plan, scenario_path
    from vcpu_scenario.authoring.template import templates

    asks = request.path is None
    if asks and not sys.stdin.isatty():
        raise UsageError("new: say where to write it: scenario new PATH")
    _check_tags(request.tags)
    name = request.template or (_choice(templates()) if asks else DEFAULT)
    template = _template(name, templates())
    title = request.title
    if title is None and asks:
        title = _ask("Title", template.title)
    title = " ".join((title or template.title).split())
    if not title.isascii() and any("\ud800" <= char <= "\udfff" for char in title):
        raise UsageError(f"--title: {quoted(title)} is not UTF-8")
    given = request.path or _ask("File", f"{file_name(title)}.vcpu.yaml")
    path = scenario_path(given, title)
    return _carry_out(plan(template, path, title, list(request.tags), request.schema), request)


def _template(name: str, known: Mapping[str, Template]) -> Template:
    try:
        return known[name]
    except KeyError:
        guess = did_you_mean(name, known)
        raise UsageError(
            f"--template: none is called `{name}`; there are {', '.join(known)}"
            f"{f'; {guess}' if guess else ''}"
        ) from None


def _check_tags(tags: Sequence[str]) -> None:
    from vcpu_scenario.language.schema import scenario_schema

    pattern = scenario_schema()["properties"]["tags"]["items"]["pattern"]
    for tag in tags:
        if not re.search(pattern, tag):
            raise UsageError(
                f"--tag: {quoted(tag)} is none; expected lower-case letters, digits and _.-"
            )


def _choice(known: Mapping[str, Template]) -> str:
    """The template that the user names, by its name or its number."""
    names = list(known)
    width = max(map(len, names))
    for number, template in enumerate(known.values(), start=1):
        say(f"{number}  {template.name:{width}}  {template.title}\n")
    answer = _ask("Start from", DEFAULT)
    if answer.isdecimal() and 0 < int(answer) <= len(names):
        return names[int(answer) - 1]
    return answer


def _ask(what: str, default: str) -> str:
    import typer

    return str(typer.prompt(what, default=default)).strip() or default


def _carry_out(plan: Plan, request: Request) -> Status:
    if plan.existing and not request.force:
        there = ", ".join(map(str, plan.existing))
        raise UsageError(f"new: {there} would be overwritten; --force does that")
    try:
        plan.carry_out()
    except OSError as error:
        raise cannot_write(error.filename, error) from None
    for path, _ in plan.files:
        say(f"wrote {printable(path)}\n")
    say(f"\nIt passes as it is: scenario run {printable(plan.scenario)}\n")
    return Status.OK
