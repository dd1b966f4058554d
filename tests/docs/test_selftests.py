"""docs/selftests.md names scenarios that are there, and each selftest once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs/selftests.md"
ROWS: Final = re.findall(
    r"^\| `([\w-]+)` \| (all|part|skips|none) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.M
)
ARM64: Final = ROWS[:28]


def test_the_arm64_selftests_are_there_once_and_sorted_by_name() -> None:
    names = [name for name, _, _ in ARM64]
    assert names == sorted(set(names))
    assert f"has {len(names)} tests" in PAGE.read_text(encoding="utf-8")


def test_each_scenario_that_is_named_is_there() -> None:
    for name, kind, text in ROWS:
        links = re.findall(r"\]\((.+?)\)", text)
        assert bool(links) is (kind != "none"), name
        assert all((PAGE.parent / link).is_file() for link in links), name


def test_what_a_scenario_leaves_out_is_said() -> None:
    assert all("Left: " in text for _, kind, text in ARM64 if kind == "part")
