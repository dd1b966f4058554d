"""One fault in a scenario that is right draws one error, and not another that is no fault."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

from vcpu_scenario.language.loader import loads
from vcpu_scenario.language.nodes import Map, Node, Scalar, Sequence
from vcpu_scenario.language.yaml12 import parse
from vcpu_scenario.source import Diagnostic, InvalidScenario, Span

from tests.mutation.search import ROOT, Tally

_IN_PLACE_OF_A_VALUE: Final = ("nonsense?", "0xffffffffffff0001", "[]", "1.5", "{}")
_NAMES: Final = re.compile(r"`[^`]*`")
_WITH_PARAMETERS: Final = re.compile(r"(^|, )with \w+=")


def faults(seed: int, count: int) -> Tally:
    """Spoils one word each in ``count`` shipped scenarios, chosen by seeds from ``seed`` on."""
    texts = {path: path.read_text() for path in sorted((ROOT / "scenarios").rglob("*.vcpu.yaml"))}
    places = {path: list(_words(parse(text, str(path))[0])) for path, text in texts.items()}
    tally = Tally(wrong=[])
    assert tally.wrong is not None
    for number in range(seed, seed + count):
        random = Random(number)
        path = random.choice(list(texts))
        span, is_key = random.choice(places[path])
        spoilt = _spoilt(texts[path], span, is_key, random)
        found = _kinds(spoilt, path)
        tally.tried += 1
        tally.false += bool(found)
        if len(found) > 1:
            tally.wrong.append(f"seed {number}: {path}:{span.line}: {sorted(found)}")
    return tally


def _words(node: Node | None, is_key: bool = False) -> Iterator[tuple[Span, bool]]:
    if isinstance(node, Scalar) and node.span.line == node.span.end_line:
        yield node.span, is_key
    for item in node.items if isinstance(node, Sequence) else ():
        yield from _words(item)
    for key, value in node.entries if isinstance(node, Map) else ():
        yield from _words(key, True)
        yield from _words(value)


def _spoilt(text: str, span: Span, is_key: bool, random: Random) -> str:
    lines = text.split("\n")
    line = lines[span.line - 1]
    word = line[span.column - 1 : span.end_column - 1]
    new = f"{word}zz" if is_key else random.choice(_IN_PLACE_OF_A_VALUE)
    lines[span.line - 1] = line[: span.column - 1] + new + line[span.end_column - 1 :]
    return "\n".join(lines)


def _kinds(text: str, path: Path) -> set[str]:
    """The kinds of errors in ``text``; empty where the change is no fault."""
    try:
        loads(text, path)
    except InvalidScenario as error:
        return set(map(_kind, error.diagnostics))
    return set()


def _kind(diagnostic: Diagnostic) -> str:
    """What is wrong, without names. A name that changed is missed wherever it is used, and so is
    the value of a parameter."""
    kind = _NAMES.sub("`...`", diagnostic.message)
    is_missed = "is called" in kind or _WITH_PARAMETERS.search(diagnostic.found)
    return "a name" if is_missed else kind
