"""Which programs a scenario makes, and how one chooses its clause."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from vcpu_scenario.arm64.cpumodels import CORTEX_A57
from vcpu_scenario.export.c import program
from vcpu_scenario.export.reactions import by_number
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.export.subject import subjects
from vcpu_scenario.kernels.release import KNOWN_RELEASES, parse_release

from .conftest import SHIPPED, only, scenario, shipped

_RELEASES = [*KNOWN_RELEASES, "4.20", "5.1", "6.1.32", "6.1.33", "6.18.7", "8.0"]


def holds(condition: str, release: str) -> bool:
    """What C makes of ``condition`` on a kernel that calls itself ``release``."""
    numbers = (*parse_release(release).numbers, 0, 0)[:3]
    python = re.sub(r"RELEASE(\([^)]*\))", r"\1", condition)
    python = python.replace("&&", "and").replace("||", "or")
    return bool(eval(python, {"kernel": numbers})) if condition else True


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem.split(".")[0])
def test_a_kernel_gets_the_clause_that_the_scenario_has_for_it(path: Path) -> None:
    for subject in shipped(path):
        host = "" if subject.cpu in (None, CORTEX_A57) else subject.cpu.name
        for release in _RELEASES:
            chosen = [b.clause for b in subject.branches if holds(b.condition, release)][:1]
            chosen = chosen if holds(subject.condition, release) else []
            places = [
                by_number(place.clause)
                for place in subject.scenario.places([release], [subject.vmm], [host])
                if place.combination is subject.combination and place.clause is not None
            ]
            assert chosen == places, release


TEXT = """\
title: a step
guest: {words: [0xd503201f, 0xd503201f]}
debug: {single_step: true}
expect:
  - {kernels: KERNELS, exits: [debug: {step: 0x40000004}]}
"""


@pytest.mark.parametrize(
    "kernels",
    ['"6.1.33"', '["<=6.0", ">6.1"]', '">=5.11 <6.1"', '"5.0..5.10"', '["4.14", ">=6.1.33 <6.2"]'],
)
def test_a_range_is_the_same_in_c(kernels: str, tmp_path: Path) -> None:
    made = only(TEXT.replace("KERNELS", kernels), tmp_path)
    clause = made.scenario.audience.clauses[0].kernels
    assert clause is not None
    for release in _RELEASES:
        assert holds(made.branches[0].condition, release) is clause.matches(release), release


def test_a_range_that_no_kernel_says_of_itself_is_refused(tmp_path: Path) -> None:
    text = TEXT.replace("KERNELS", '"6.1.33.4"')
    with pytest.raises(Unexportable, match=r"the release 6\.1\.33\.4"):
        only(text, tmp_path)


def test_a_variant_of_a_kernel_is_no_kernel_that_chooses(tmp_path: Path) -> None:
    made = scenario(TEXT.replace("KERNELS", '"5.0-v2trap"'), tmp_path)
    assert list(subjects(made, ())) == []
    (asked,) = subjects(made, ["5.0-v2trap"])
    assert asked.kernel == "5.0-v2trap"


def test_one_kernel_makes_a_program_that_asks_for_none(tmp_path: Path) -> None:
    text = program(only(TEXT.replace("KERNELS", '">=5.11"'), tmp_path, "6.12"))
    assert "uname" not in text
    assert "What is expected is what Linux 6.12 does." in text


def test_a_kernel_of_which_nothing_is_expected_makes_no_program(tmp_path: Path) -> None:
    made = scenario(TEXT.replace("KERNELS", '">=5.11"'), tmp_path)
    assert list(subjects(made, ["4.14"])) == []


def test_each_combination_and_vmm_is_a_program_with_a_name_of_its_own() -> None:
    every = [subject for path in SHIPPED for subject in shipped(path)]
    names = [subject.name for subject in every]
    assert len(names) == len(set(names)) > 130
    assert all(re.fullmatch(r"[\w.-]+", subject.file_name) for subject in every)


HOSTS = """\
title: t
kernels: ">=6.12"
host: HOSTS
guest: {words: [0xd503201f]}
expect:
  - host: protected
    exits: []
  - kernels: ">=6.14"
    exits: []
"""


def test_a_program_that_the_kernel_chooses_in_is_for_the_default_host(tmp_path: Path) -> None:
    both = scenario(HOSTS.replace("HOSTS", "[default, protected]"), tmp_path)
    (asked,) = subjects(both, [])
    assert [branch.condition for branch in asked.branches] == ["kernel >= RELEASE(6, 14, 0)"]
    (asked,) = subjects(both, ["6.12+protected"])
    assert asked.name.endswith("@6.12+protected")


def test_a_scenario_for_another_host_needs_a_kernel_that_names_it(tmp_path: Path) -> None:
    only = scenario(HOSTS.replace("HOSTS", "protected").partition("  - kernels")[0], tmp_path)
    with pytest.raises(Unexportable, match=r"--kernel 6\.17\+protected"):
        list(subjects(only, []))
