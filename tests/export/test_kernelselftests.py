"""The table of docs/selftests.md, as the command that runs the kernel's own tests reads it."""

from __future__ import annotations

import re

from .conftest import ROOT
from .kernelselftests import failure, table


def test_each_test_that_is_said_in_whole_or_in_part_has_scenarios_that_are_there() -> None:
    read = table()
    said = re.findall(r"\| (?:all|part|skips) \|", (ROOT / "docs" / "selftests.md").read_text())
    assert len(read) == len(said) > 20
    for paths in read.values():
        assert paths
        assert all((ROOT / path).is_file() for path in paths)


def test_what_failed_is_told_from_its_first_line_on() -> None:
    assert failure("ok 1 a\nnot ok 2 b\nok 3 c\n") == ["not ok 2 b", "ok 3 c"]
    assert failure("seed\n==== Test Assertion Failure ====\n a.c:1") == [
        "==== Test Assertion Failure ====",
        " a.c:1",
    ]
    assert failure("seed\nkilled") == ["killed"]
