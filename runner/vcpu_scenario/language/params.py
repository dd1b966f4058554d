"""The matrix: parameters, their combinations, and what ``${name}`` stands for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from itertools import product
from typing import Final, TypeAlias

from msgspec.structs import replace

from vcpu_scenario.language.nodes import (
    PARAMETER,
    Map,
    Node,
    Scalar,
    Sequence,
    Value,
    is_faulty,
    scalar,
)
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.source import Span, quoted

Parameters: TypeAlias = Mapping[str, Scalar]
Sort: TypeAlias = tuple[bool, Value]
Values: TypeAlias = Mapping[str, Mapping[Sort, Scalar]]
"""The values that each parameter takes, by what is equal for them."""

HEADER: Final = ("version", "title", "about", "origin", "tags", "kernels", "vmm", "host", "matrix")
"""Keys of a scenario in which no parameter stands."""

MAX_COMBINATIONS: Final = 10_000
MAX_TEXT: Final = 32 << 20
"""Characters of all combinations together, as if each were a file of its own."""

_USE = re.compile(r"\$(?:\$\{|\{([^{}\n]*)\})")
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_.+-]+")


def combinations(matrix: Node | None, problems: Problems) -> list[Parameters]:
    """Every combination of parameters that ``matrix`` asks for, one without any if it is None."""
    if isinstance(matrix, Sequence):
        return _listed(matrix, problems)
    if not isinstance(matrix, Map):
        return [{}]
    names = [key.text for key, _ in matrix.entries]
    values = [
        tuple(item for item in value.items if isinstance(item, Scalar))
        for _, value in matrix.entries
        if isinstance(value, Sequence)
    ]
    count = 1
    for choices in values:
        count *= len(choices)
    if count > MAX_COMBINATIONS:
        problems.add(
            "the matrix has too many combinations",
            matrix.span,
            found=f"{count:,}",
            expected=f"at most {MAX_COMBINATIONS:,}",
        )
        return []
    return [dict(zip(names, chosen, strict=True)) for chosen in product(*values)]


def taken_values(rows: Iterable[Parameters]) -> Values:
    """The values that each parameter takes in ``rows``, of which all have the same parameters."""
    found: dict[str, dict[Sort, Scalar]] = {}
    for row in rows:
        for name, value in row.items():
            found.setdefault(name, {}).setdefault(sort_of(value.value), value)
    return found


def sort_of(value: Value) -> Sort:
    """Equal for what a condition takes for equal: 1 is 1.0, and not true."""
    return isinstance(value, bool), value


def _listed(matrix: Sequence, problems: Problems) -> list[Parameters]:
    rows = [row for row in matrix.items if isinstance(row, Map) and not row.faulty]
    keys = [[key.text for key, _ in row.entries] for row in rows]
    usual = Counter(map(frozenset, keys)).most_common(1)[0][0] if rows else frozenset()
    names = next((names for names in keys if usual == set(names)), [])
    others = "first" if keys and names == keys[0] else "others"
    found: list[Parameters] = []
    for row, here in zip(rows, keys, strict=True):
        if set(here) == set(names):
            given = {key.text: value for key, value in row.entries if isinstance(value, Scalar)}
            found.append({name: given[name] for name in names if name in given})
        else:
            problems.add(
                f"a row of the matrix has other parameters than the {others}",
                row.span,
                found=", ".join(here),
                expected=", ".join(names),
            )
    return found


def check_distinct(rows: list[Parameters], root: Map, problems: Problems) -> None:
    """Reports two combinations that differ in nothing that is used: they are one case."""
    matrix = root.get("matrix")
    if matrix is None or root.faulty or is_faulty(matrix):
        return
    entries = tuple(entry for entry in root.entries if entry[0].text not in HEADER)
    used = _used(replace(root, entries=entries))
    seen: dict[tuple[Value, ...], Parameters] = {}
    for row in rows:
        values = tuple(value.text for name, value in row.items() if name in used)
        if (first := seen.setdefault(values, row)) is not row:
            idle = next((name for name in row if name not in used), None)
            problems.add(
                "two combinations of the matrix are the same case",
                matrix.span,
                found=f"{shown(first)} and {shown(row)}",
                help="leave one out"
                if idle is None
                else f"nothing uses {quoted(idle)}: write ${{{idle}}} where its value belongs",
            )
            return


_IN_WORDS: Final = {"expect": ("about", "note"), "on": ("note",), "xfail": ("reason", "link")}
"""What is told and no more, by the key that it stands under."""
_WITH_NAMES: Final = ("final", "then")
"""Keys under which any key may be a name."""


def _used(node: Node, words: Container[str] = ()) -> set[str]:
    """The parameters that are named in ``node``: by ``${name}``, under ``when``, and by a case;
    what stands under the keys ``words`` makes no case another."""
    if isinstance(node, Scalar):
        return {use.group(1) for use in _USE.finditer(node.text)}
    if isinstance(node, Sequence):
        return set().union(*(_used(item, words) for item in node.items))
    found: set[str] = set()
    for key, value in node.entries:
        if key.text in words:
            continue
        below = () if key.text in _WITH_NAMES else _IN_WORDS.get(key.text, words)
        if key.text == "when" and isinstance(value, Map):
            found |= {name.text for name, _ in value.entries}
        found |= {case.partition("=")[0].strip() for case in key.text.split(",") if "=" in case}
        found |= _used(key) | _used(value, below)
    return found


def check_size(rows: list[Parameters], text: str, matrix: Node, problems: Problems) -> bool:
    """Reports a matrix that makes too much of ``text``; whether it does not."""
    longest = max((len(value.text) for row in rows for value in row.values()), default=0)
    total = len(rows) * (len(text) + text.count(PARAMETER) * longest)
    if total <= MAX_TEXT:
        return True
    problems.add(
        "the matrix makes too much of the file",
        matrix.span,
        found=f"{len(rows):,} combinations, {total:,} characters in all",
        expected=f"at most {MAX_TEXT:,}",
        help="make several scenarios of it",
    )
    return False


def case_names(rows: list[Parameters]) -> list[str]:
    """A name for each combination, ``[width=4,op=ldr]``, no two alike; empty without parameters."""
    names: dict[str, int] = {}
    out = []
    for row in rows:
        pairs = (f"{name}={_NOT_IN_IDS.sub('_', value.text)[:40]}" for name, value in row.items())
        name = f"[{','.join(pairs)}]" if row else ""
        again = names[name] = names.get(name, 0) + 1
        out.append(name if again == 1 else f"{name[:-1]},#{again}]")
    return out


def shown(row: Parameters) -> str:
    """The combination as a fault in it shows it."""
    return ", ".join(f"{name}={value.text}" for name, value in row.items())


def values_of(row: Parameters) -> dict[str, Value]:
    return {name: value.value for name, value in row.items()}


def substitute(node: Node, row: Parameters, problems: Problems) -> Node | None:
    """``node`` with every ``${name}`` replaced; what has none is the same object as before.

    What names no parameter is reported and taken out, as the schema's check does it.
    """
    if not node.dynamic:
        return node
    if isinstance(node, Scalar):
        return _replaced(node, row, problems)
    if isinstance(node, Sequence):
        items = [substitute(item, row, problems) for item in node.items]
        kept = tuple(item for item in items if item is not None)
        return replace(node, items=kept, faulty=node.faulty or len(kept) < len(items))
    return substitute_in(node, row, problems)


def substitute_in(node: Map, row: Parameters, problems: Problems, but: Container[str] = ()) -> Map:
    """:func:`substitute` for a mapping, in all keys ``but`` those."""
    entries = []
    for key, value in node.entries:
        if key.text in but:
            entries.append((key, value))
            continue
        new_key = _replaced(key, row, problems) if key.dynamic else key
        new = substitute(value, row, problems)
        if new_key is not None and new is not None:
            entries.append((new_key, new))
    faulty = node.faulty or len(entries) < len(node.entries)
    return replace(node, entries=tuple(entries), faulty=faulty)


def _replaced(node: Scalar, row: Parameters, problems: Problems) -> Scalar | None:
    problems.parameterised.add(node.span)
    whole = _USE.fullmatch(node.text)
    if whole is not None and whole.group(1) in row:
        # Standing alone it is the value itself, a number or a boolean, quoted or not.
        value = row[whole.group(1)]
        return Scalar(value.value, value.text, value.style, node.span, True)
    names = [use.group(1) for use in _USE.finditer(node.text)]
    unknown = [name for name in names if name is not None and name not in row]
    for name in unknown:
        _unknown(name, row, node.span, problems)
    if unknown:
        return None

    def text_of(match: re.Match[str]) -> str:
        name = match.group(1)
        return PARAMETER if name is None else row[name].text

    new = scalar(_USE.sub(text_of, node.text), node.style, node.span)
    return Scalar(new.value, new.text, new.style, new.span, True)


def _unknown(name: str, row: Parameters, span: Span, problems: Problems) -> None:
    problems.add(
        f"no parameter is called {quoted(name)}",
        span,
        expected=", ".join(row) if row else "a matrix: that has it",
        help="write $${ for a ${ that is meant as it is",
        near=(name, row),
    )
