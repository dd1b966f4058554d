"""Changes one thing that a shipped scenario claims, in its text, and runs it: it must not pass.

A claim is a value that is expected of an exit, of the state at the end, of a stop, or that an
action expects of the kernel. One that is changed may still hold, of another part of a run that is
the same there; the plain judge tells. What an action expects has one answer alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from vcpu_scenario.kvm.errnos import ERRNOS
from vcpu_scenario.language import Scenario, ScenarioCase, load
from vcpu_scenario.language.loader import loads
from vcpu_scenario.language.nodes import Map, Node, Scalar, Sequence
from vcpu_scenario.language.yaml12 import parse
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.running.execute import judged
from vcpu_scenario.running.targets import Made
from vcpu_scenario.source import InvalidScenario, Span
from vcpu_scenario.trace import Trace

from tests.mutation.brute import holds
from tests.mutation.search import KERNELS, ROOT, Tally

_BESIDE: Final = {"repeat", "reply", "note", "kernels", "vmm", "host", "when"}
"""Keys of an exit that say nothing that must be so."""
_ACTIONS: Final = {"then", "before", "setup"}
_ANSWERS: Final = {
    "check_extension": {"value"},
    "delivered": {"delivered"},
    "get_dirty_log": {"pages"},
    "get_its_attr": {"value"},
    "get_vcpu_attr": {"value"},
    "get_vgic_attr": {"value"},
    "read_ioeventfd": {"count"},
    "resampled": {"count"},
    "signal_msi": {"delivered"},
    "userfaults": {"pages", "written"},
}
"""What an action expects, by its key; one with a key of ``_ALL`` does so with all that it has."""
_ALL: Final = {"get", "get_mp_state", "get_vcpu_events", "preferred_target", "ioctl"}


class Claim(NamedTuple):
    """A word of a scenario; ``acted`` if an action claims it."""

    span: Span
    text: str
    acted: bool


def claims(seed: int, count: int) -> Tally:
    """Changes one claim each in ``count`` shipped scenarios, chosen by seeds from ``seed`` on."""
    tally = Tally(wrong=[])
    assert tally.wrong is not None
    paths = [path for path in _paths() if _claims(path)]
    for number in range(seed, seed + count):
        random = Random(number)
        path = random.choice(paths)
        claim = random.choice(_claims(path))
        words = _changed(random, claim)
        cases = _read(path, claim, words)
        for case, was in zip(*cases, strict=True):
            tally.tried += 1
            if (wrong := _wrong(case, was, acted=claim.acted)) is None:
                continue
            tally.false += 1
            if wrong:
                span, text = claim.span, claim.text
                tally.wrong.append(
                    f"seed {number}: {path}:{span.line}: {text} -> {words}: {case.id}"
                )
    return tally


def _wrong(case: ScenarioCase, was: ScenarioCase, *, acted: bool) -> bool | None:
    """Whether it passes where it must not; None where it claims what it did, or may hold."""
    if case.expectation is None or (acted and case.case == was.case):
        return None
    found = Made(create).run(case.case, case.kernel)
    if not isinstance(found, Trace):
        return None
    right = not acted and holds(case.expectation, found, found.stops)
    return None if right else judged(case, found).verdict == "pass"


@cache
def _paths() -> tuple[Path, ...]:
    return tuple(sorted((ROOT / "scenarios").rglob("*.vcpu.yaml")))


@cache
def _scenario(path: Path) -> Scenario:
    return load(path)


@cache
def _claims(path: Path) -> tuple[Claim, ...]:
    root = parse(path.read_text(), str(path))[0]
    return tuple(_within(root, ()))


def _within(node: Node | None, keys: tuple[str, ...]) -> Iterator[Claim]:
    if isinstance(node, Scalar):
        acted = bool(_ACTIONS & {*keys})
        told = _is_answer(keys) if acted else _is_expected(keys)
        if (
            told
            and node.span.line == node.span.end_line
            and node.span.column < node.span.end_column
        ):
            yield Claim(node.span, node.text, acted)
    for item in node.items if isinstance(node, Sequence) else ():
        yield from _within(item, keys)
    entries = node.entries if isinstance(node, Map) else ()
    # Of an action that is refused there is no answer.
    refused = bool(_ACTIONS & {*keys}) and any(key.text == "errno" for key, _ in entries)
    for key, value in entries:
        if not refused or key.text == "errno":
            yield from _within(value, (*keys, key.text))


def _is_expected(keys: tuple[str, ...]) -> bool:
    if keys[:1] != ("expect",) or _BESIDE & {*keys}:
        return False
    return keys[1:2] in (("exits",), ("final",), ("stops",), ("refused",))


def _is_answer(keys: tuple[str, ...]) -> bool:
    at = max(number for number, key in enumerate(keys) if key in _ACTIONS)
    action, *more = (*keys[at + 1 :], "")
    return action == "errno" or action in _ALL or bool(_ANSWERS.get(action, set()) & {*more})


def _changed(random: Random, claim: Claim) -> str:
    text = claim.text
    if text in ERRNOS:
        return random.choice(sorted(ERRNOS.keys() - {text}))
    try:
        value = int(text, 0)
    except ValueError:
        return f'"{text}+4"' if text.isidentifier() else f"{text}+4"
    near = value ^ 1 << random.randrange(max(value.bit_length(), 1))
    return hex(random.choice((near, value + 1, near)))


def _read(path: Path, claim: Claim, words: str) -> tuple[list[ScenarioCase], list[ScenarioCase]]:
    """The cases of the text that is changed, and those that were; none where it is faulty."""
    lines = path.read_text().split("\n")
    span = claim.span
    line = lines[span.line - 1]
    lines[span.line - 1] = line[: span.column - 1] + words + line[span.end_column - 1 :]
    try:
        changed = loads("\n".join(lines), path)
    except InvalidScenario:
        return [], []
    return list(changed.cases(KERNELS)), list(_scenario(path).cases(KERNELS))
