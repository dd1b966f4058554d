"""Has ``jsonschema`` decide whether a document fits the schema of a scenario.

It decides for ``scenario check``; :mod:`vcpu_scenario.language.schema` places and words the faults,
and is what a run trusts, which would take longer to import ``jsonschema`` than for all else. What
only ``jsonschema`` rejects is an error as well, in its own words. What only the walk rejects stays
one: it reads what becomes a case, ``jsonschema`` the values alone. The tests hold the two together
on every file there is and on many mutated ones, so neither comes up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final

from jsonschema import validators
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator

from vcpu_scenario.language.nodes import Map, Node, Sequence, to_plain
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.language.schema import scenario_schema
from vcpu_scenario.source import Span

_MOST_KEPT: Final = 20_000
_LONGEST_KEPT: Final = 250
"""Characters of a value whose fit is remembered. Longer ones hardly come twice."""

_LONGEST_MESSAGE: Final = 200
"""Characters: the message repeats the value, whatever its size."""


def decide(root: Node, problems: Problems) -> None:
    """Reports what ``jsonschema`` has against ``root``, unless there are faults in it already."""
    if problems:
        return
    document = to_plain(root)
    if not validator().is_valid(document):
        for error in validator().iter_errors(document):
            message = error.message
            if len(message) > _LONGEST_MESSAGE:
                message = f"{message[: _LONGEST_MESSAGE - 1]}…"
            span = _place(root, error.absolute_path)
            problems.add("this does not fit the schema", span, found=message)


@cache
def validator() -> Validator:
    """The validator of the schema, which remembers what fits."""
    schema = scenario_schema()
    plain = validators.validator_for(schema)
    through = plain.VALIDATORS["$ref"]
    fitting: set[tuple[str, str]] = set()

    def reference(
        within: Validator, name: str, value: Any, schema: dict[str, Any]
    ) -> Iterator[ValidationError]:
        """Follows a ``$ref``, once for values alike: most parts of a scenario stand in many."""
        known = name, repr(value)  # which tells 1, 1.0, True and "1" apart
        if known in fitting:
            return
        fits = True
        for error in through(within, name, value, schema) or ():
            fits = False
            yield error
        if fits and len(known[1]) <= _LONGEST_KEPT:
            if len(fitting) >= _MOST_KEPT:
                fitting.clear()
            fitting.add(known)

    made: Validator = validators.extend(plain, {"$ref": reference})(schema)  # type: ignore[no-untyped-call]
    return made


def _place(root: Node, path: Iterable[str | int]) -> Span:
    """The span of the value that ``path`` leads to, or of what it leads through last."""
    node = root
    for step in path:
        if isinstance(node, Map):
            below = node.get(str(step))
        elif isinstance(node, Sequence) and isinstance(step, int):
            below = node.items[step]
        else:
            below = None
        if below is None:
            break
        node = below
    return node.span
