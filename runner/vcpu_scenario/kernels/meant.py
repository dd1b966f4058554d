"""What a text that is no release and no range was meant to be: ``6.1-6.12`` is ``6.1..6.12``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from vcpu_scenario.kernels.release import VARIANTS, WORDS, RangeError, parse_range
from vcpu_scenario.source import did_you_mean

LONGEST: Final = 80
"""Nobody meant a release by more than this."""

_Rewrite: TypeAlias = "tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]"

_RELEASE: Final = r"\d{1,4}(?:\.\d{1,4}){0,3}(?:-[A-Za-z]\w*)?"


def _known_variant(found: re.Match[str]) -> str:
    close = did_you_mean(found[1], VARIANTS)
    return "-" + close.split("`")[1] if close else ""


# Each is tried on what those before it have left.
_REWRITES: Final[tuple[_Rewrite, ...]] = (
    (re.compile("[\u2010-\u2015\u2212]"), "-"),
    (re.compile("≥|=>"), ">="),
    (re.compile("≤|=<"), "<="),
    (re.compile("…"), "..."),
    (
        re.compile(
            r"\b(?:linux|kernel|version|release)[ _-]?(?=v?\d)|\bv(?=\d+\.\d)", re.IGNORECASE
        ),
        "",
    ),
    (re.compile(r"(?<=\d)-?rc\d+"), ""),
    (re.compile(r"(?<=\d)\.[x*](?![\w.])"), ""),
    (re.compile(r"\s*(?:,|&&?|\band\b)\s*(?=[<>])", re.IGNORECASE), " "),
    (re.compile(r"(?<![<>=])={1,2}(?!=)|^[~^]"), ""),
    (re.compile(rf"({_RELEASE})\s*(?:-|~|:|\.{{2,4}}=?|\bto\b)\s*(?=\d+\.\d)"), r"\1.."),
    (re.compile(rf"({_RELEASE})\s*(?:\+|\.\.+|-)\s*$"), r">=\1"),
    (re.compile(rf"^\s*\.\.+=?\s*({_RELEASE})\s*$"), r"<=\1"),
    (re.compile(r"(?<=\d)[-~+]([A-Za-z]\w*)(?![\w.+~-])"), _known_variant),
    (re.compile(rf"(?<=\d)[-~+](?!{'|'.join(VARIANTS)})\w[\w+~-]*(?:\.\w[\w+~-]*)*"), ""),
)


def kernels_meant(text: str) -> str:
    """``did you mean `6.1..6.12`?`` for ``6.1-6.12``, or what else to write for a text that
    :func:`~vcpu_scenario.kernels.release.parse_range` refuses; empty where nothing is near."""
    if len(text) > LONGEST:
        return ""
    if text.strip().isalpha() and (word := did_you_mean(text.strip(), WORDS)):
        return word
    if "!=" in text:
        return "to leave a release out, give what is below it and what is above it as two ranges"
    for meant in _readings(text.strip()):
        if _is_range(meant):
            return f"did you mean `{meant}`?"
    several = [part for part in re.split(r"\s*(?:,|;|\|\|?|\bor\b)\s*", text.strip()) if part]
    if len(several) > 1 and all(map(_is_range, several)):
        return "several ranges are given one by one: " + ", ".join(f"`{part}`" for part in several)
    return ""


def _readings(text: str) -> Iterator[str]:
    for pattern, written in _REWRITES:
        changed = pattern.sub(written, text)
        if changed != text:
            text = changed
            yield text


def _is_range(text: str) -> bool:
    try:
        kernels = parse_range(text)
    except RangeError:
        return False
    return ".." not in text or bool(kernels.rows())
