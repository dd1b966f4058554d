"""What other versions of the language have: keys of 0.1 by the name that they have now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vcpu_scenario.language.nodes import Map, Node, Scalar, value_at
from vcpu_scenario.source import Diagnostic, Span, quoted

RENAMED: Final[Mapping[str, str]] = {
    "do": "then",
    "mmio_data": "reply",
    "external_abort": "ext_dabt_pending",
    "serror": "serror_pending",
    "iss": "esr_iss",
    "ipa": "fault_ipa",
}

OLDER: Final[Mapping[str, Mapping[str, str]]] = {"guest": {"registers": "regs"}}
"""Keys that version 1 had another word for, and keeps, by the key that they stand under."""


def said_twice(older: Scalar, new: str) -> Diagnostic:
    """What is told of a key that stands under an older word beside the present one."""
    return Diagnostic(
        f"{quoted(older.text)} is {quoted(new)} by an older word",
        older.span,
        found="both of them",
        help=f"put all of it under {quoted(new)}",
    )


OTHER_WORDS: Final[Mapping[str, str]] = {"registers": "regs", "regs": "registers"}
"""Words for one thing, of which one place has this and another that: a vCPU has ``regs``, a device
``registers``."""


def older_words(root: Node) -> dict[Span, tuple[str, str]]:
    """The older word and the present one of each such key, by its place."""
    found = {}
    for under, words in OLDER.items():
        node = value_at(root, under)
        if not isinstance(node, Map):
            continue
        for key, _ in node.entries:
            # Beside the present word it is a fault, and stays to be seen.
            if key.text in words and node.key(words[key.text]) is None:
                found[key.span] = key.text, words[key.text]
    return found


OTHER_VALUES: Final[Mapping[str, str]] = {
    "`version`": "files of 0.1 have no version, and `scenario migrate` brings them over;"
    " one of a later version needs a later vcpu-scenario",
}
"""What to do about a value that this version of the language does not have, by its key."""
