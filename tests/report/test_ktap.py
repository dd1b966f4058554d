"""KTAP, as the kernel's own parser reads it where it is at hand.

KUNIT_PARSER names that parser: tools/testing/kunit/kunit_parser.py of a kernel's source, with
kunit_printer.py beside it. Without it, it is the one that .ci/tools has fetched. No library for
KTAP is kept well enough to stand in for it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace
from vcpu_scenario.kernels.release import parse_release
from vcpu_scenario.report.ktap import report
from vcpu_scenario.verdict.result import Result, Verdict

pytestmark = pytest.mark.slow

FETCHED = Path(__file__).parents[2] / ".cache/kunit/kunit_parser.py"
PARSER = os.environ.get("KUNIT_PARSER", str(FETCHED))

PRINT_TREE = """
import importlib.util, inspect, io, json, os, sys
path = sys.argv[1]
sys.path.insert(0, os.path.dirname(path))
spec = importlib.util.spec_from_file_location("kunit_parser", path)
parser = importlib.util.module_from_spec(spec)
sys.modules["kunit_parser"] = parser
spec.loader.exec_module(parser)
import kunit_printer
kunit_printer.stdout._output = io.StringIO()
# Newer ones are told whom to print to.
wanted = inspect.signature(parser.parse_run_tests).parameters
printer = [kunit_printer.stdout] * ("printer" in wanted)
test = parser.parse_run_tests(sys.stdin.read().splitlines(), *printer)
def tree(test):
    return [test.name, test.status.name, [tree(each) for each in test.subtests]]
print(json.dumps([test.counts.errors, tree(test)]))
"""


class Parsed(NamedTuple):
    name: str
    status: str
    subtests: list[Parsed]


def parsed(text: str) -> Parsed:
    """What the kernel's parser makes of ``text``, against which it has no complaint."""
    if not Path(PARSER).is_file():
        pytest.skip(f"no {PARSER}: .ci/tools fetches it, or KUNIT_PARSER names a kernel's")
    done = subprocess.run(
        [sys.executable, "-c", PRINT_TREE, PARSER],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    errors, found = json.loads(done.stdout)
    assert errors == 0
    return tree(found)


def tree(found: list[Any]) -> Parsed:
    name, status, subtests = found
    return Parsed(name, status, [tree(each) for each in subtests])


SEEN = {
    "pass": "SUCCESS",
    "fail": "FAILURE",
    "error": "FAILURE",
    "skip": "SKIPPED",
    "not-modelled": "FAILURE",
    "xfail": "SUCCESS",  # the parser knows no XFAIL, and such a result is ok
}


def test_the_kernels_parser_finds_each_case_under_its_kernel(results: list[Result]) -> None:
    found = parsed(report(results))
    assert (found.name, found.status) == ("main", "FAILURE")
    assert [kernel.name for kernel in found.subtests] == ["4.18", "5.10", "6.4", "6.12"]
    assert [case for kernel in found.subtests for case in kernel.subtests] == [
        Parsed(result.case.id, SEEN[result.verdict], [])
        for result in sorted(results, key=lambda result: parse_release(result.case.kernel))
    ]


def test_the_kernels_parser_sees_that_a_run_was_not_whole(results: list[Result]) -> None:
    passed = [result for result in results if result.verdict == "pass"]
    assert parsed(report(passed)).status == "SUCCESS"
    assert parsed(report(passed, note="no case is selected")).status == "FAILURE"
    assert parsed(report([], note="no case is selected")).status == "FAILURE"


def test_plans_and_numbers_hold_on_every_level(results: list[Result]) -> None:
    lines = report(results, note="interrupted").splitlines()
    assert lines[:2] == ["KTAP version 1", "1..5"]
    inner = [line for line in lines if line.startswith("  ")]
    blocks = [
        list(block)
        for starts, block in groupby(inner, lambda line: line == "  KTAP version 1")
        if not starts
    ]
    assert len(blocks) == 4
    for subtest, plan, *rest in blocks:
        outcomes = [line.split() for line in rest if not line.startswith("  #")]
        numbers = [words[2] if words[0] == "not" else words[1] for words in outcomes]
        assert subtest.startswith("  # Subtest: ")
        assert plan == f"  1..{len(outcomes)}"
        assert numbers == [str(number + 1) for number in range(len(outcomes))]


def test_a_directive_says_why(results: list[Result]) -> None:
    lines = [line.strip() for line in report(results).splitlines()]
    assert any(line.endswith("# SKIP nothing is expected on 6.4 with qemu-2017") for line in lines)
    assert any(" # XFAIL a step is lost (https://" in line for line in lines)
    assert any(" # ERROR the runner failed: RuntimeError: " in line for line in lines)


def test_a_kernel_is_skipped_where_all_of_it_is(results: list[Result]) -> None:
    skipped = [result for result in results if result.verdict == "skip"]
    kernel = skipped[0].case.kernel
    alone = [result for result in skipped if result.case.kernel == kernel]
    assert f"ok 1 {kernel} # SKIP" in report(alone).splitlines()


def test_a_name_holds_nothing_that_would_begin_a_directive(results: list[Result]) -> None:
    case = replace(results[1].case, id="a[b=1,#2]\n@6.12/plain")
    text = report([replace(results[1], case=case, verdict=Verdict.PASS, mismatches=())])
    assert "  ok 1 a[b=1,no.2] @6.12/plain" in text.splitlines()
