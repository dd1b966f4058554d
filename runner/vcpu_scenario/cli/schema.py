"""``scenario schema``: the schema of scenarios, for editors, or what it says in Markdown."""

from __future__ import annotations

from vcpu_scenario.cli.output import destination
from vcpu_scenario.cli.status import Status


def schema(form: str, output: str | None) -> Status:
    """Writes the schema as it is published, or the reference made of it."""
    to = destination(output)
    if form == "markdown":
        from vcpu_scenario.authoring.reference import reference

        to.write(reference())
    else:
        from vcpu_scenario.language.schema import schema_text

        to.write(schema_text())
    return Status.OK
