"""What says in a file which kernels, VMMs, hosts and parameters something is for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from vcpu_scenario.kernels.hosts import host
from vcpu_scenario.kernels.meant import kernels_meant
from vcpu_scenario.kernels.release import KNOWN_RELEASES, KernelRange, RangeError, parse_range
from vcpu_scenario.language.audience import Selector
from vcpu_scenario.language.nodes import Map, Node, Scalar, entries_of
from vcpu_scenario.language.nodes import Sequence as Items
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.source import Span, quoted

DEFAULT_VMMS: Final = ("plain",)

_FOLDED: Final = "YAML takes `>` or `|` without quotes for the start of a text: quote the range"


def read_kernels(node: Node | None, problems: Problems) -> KernelRange | None:
    """The range that ``kernels:`` gives; None where it is not there, or says nothing readable."""
    if node is None:
        return None
    items = node.items if isinstance(node, Items) else (node,)
    texts = [(item.text, item) for item in items if isinstance(item, Scalar)]
    return read_ranges(texts, problems)


def read_ranges(texts: Sequence[tuple[str, Scalar]], problems: Problems) -> KernelRange | None:
    """All of what ``texts`` say, each with where it stands; None if none of it is readable. One of
    several that no known kernel fits is reported: what is for the others does not show it."""
    found = []
    for text, at in texts:
        kernels = read_range(text, at, problems)
        if kernels is not None and len(texts) > 1 and not kernels.has_any():
            no_known_kernel(at.span, text, problems)
        found += [] if kernels is None else [kernels]
    terms = tuple(term for kernels in found for term in kernels.terms)
    return KernelRange(terms) if terms else None


def no_known_kernel(at: Span, text: str, problems: Problems) -> None:
    problems.add(
        "no known kernel is in this range",
        at,
        found=text,
        expected=f"a range within {KNOWN_RELEASES[0]}..{KNOWN_RELEASES[-1]}",
    )


def read_range(text: str, at: Scalar, problems: Problems) -> KernelRange | None:
    """The range ``text``, which stands in ``at``; None where it is none."""
    try:
        return parse_range(text)
    except RangeError as error:
        problems.add(
            str(error),
            at.span,
            found=quoted(text),
            expected=error.expected,
            help=kernels_meant(text) or (_FOLDED if at.style in ("folded", "literal") else ""),
        )
    return None


def read_vmms(node: Node | None) -> tuple[str, ...] | None:
    if node is None:
        return None
    items = node.items if isinstance(node, Items) else (node,)
    return tuple(dict.fromkeys(item.text for item in items if isinstance(item, Scalar)))


def read_hosts(node: Node | None) -> tuple[str, ...] | None:
    """What ``host:`` says, word by word."""
    return read_vmms(node)


def named_hosts(words: Iterable[str] | None) -> tuple[str, ...] | None:
    """The hosts that a scenario is for which says ``words``."""
    return None if words is None else tuple(dict.fromkeys(host([word]) for word in words))


def read_selector(clause: Map, names: Collection[str] | None, problems: Problems) -> Selector:
    """What the clause is for; ``names`` are the scenario's parameters, None where not all of
    them are known."""
    kernels, vmm, when, at = map(clause.get, ("kernels", "vmm", "when", "host"))
    conditions = {}
    for key, value in entries_of(when):
        items = value.items if isinstance(value, Items) else (value,)
        conditions[key.text] = tuple(item for item in items if isinstance(item, Scalar))
        if names is not None and key.text not in names:
            problems.add(
                f"no parameter is called {quoted(key.text)}",
                key.span,
                expected=", ".join(names) or "a matrix: that has it",
                near=(key.text, names),
            )
    restricting = next((node for node in (kernels, when, vmm, at) if node is not None), clause)
    return Selector(
        read_kernels(kernels, problems),
        read_vmms(vmm),
        conditions,
        restricting.span,
        kernels.span if kernels is not None else None,
        read_hosts(at),
    )
