"""Hosts: their names, what they are, and which rules they bring."""

from __future__ import annotations

import re

import pytest
from vcpu_scenario.arm64.cpumodels import CORTEX_A57, CORTEX_A76
from vcpu_scenario.kernels.hosts import UnknownHost, host, is_so
from vcpu_scenario.kernels.release import KNOWN_RELEASES, RangeError, parse_range, parse_release
from vcpu_scenario.kernels.rules import RULES
from vcpu_scenario.kernels.table import kernel
from vcpu_scenario.machine.emulated.machine import EmulatedMachine, create
from vcpu_scenario.machine.errors import NotSeenThere


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ([], ""),
        (["default"], ""),
        (["cortex-a57"], ""),
        (["protected"], "protected"),
        (["protected", "cortex-a76"], "cortex-a76+protected"),
        (["gicv3-trapped+protected", "cortex-a57"], "protected+gicv3-trapped"),
    ],
)
def test_a_host_has_one_name_however_it_is_said(words: list[str], name: str) -> None:
    assert host(words) == name


def test_an_unknown_host_and_one_of_two_cpus_are_refused() -> None:
    with pytest.raises(UnknownHost, match="no host is called `pkvm`"):
        host(["pkvm"])
    with pytest.raises(UnknownHost, match="no host is cortex-a72 and cortex-a76 at once"):
        host(["cortex-a76", "cortex-a72"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", {"default", "cortex-a57"}),
        ("protected", {"cortex-a57", "protected"}),
        ("cortex-a76", {"cortex-a76"}),
        ("cortex-a76+protected", {"cortex-a76", "protected", "cortex-a76+protected"}),
    ],
)
def test_a_host_is_what_its_words_say(name: str, words: set[str]) -> None:
    every = ("default", "cortex-a57", "cortex-a76", "protected", "cortex-a76+protected")
    assert {word for word in every if is_so(name, word)} == words


def test_a_release_says_its_host_behind_a_plus() -> None:
    release = parse_release("v6.17+protected+cortex-a76")
    assert release == parse_release("6.17").on("cortex-a76+protected")
    assert str(release) == "6.17+cortex-a76+protected"
    assert str(parse_release("6.17+cortex-a57")) == "6.17"
    assert parse_release("5.0-v2trap+cortex-a76").kind == "-v2trap+cortex-a76"


def test_the_default_host_of_a_release_comes_before_its_others_and_those_before_the_next() -> None:
    names = ["6.17+protected", "6.18", "6.17", "6.16+protected"]
    assert sorted(names, key=parse_release) == [
        "6.16+protected",
        "6.17",
        "6.17+protected",
        "6.18",
    ]


@pytest.mark.parametrize("name", ["6.17+", "6.17+pkvm", "6.12.43+deb13-arm64", "6.17+protected+"])
def test_what_is_no_host_is_no_release(name: str) -> None:
    with pytest.raises(RangeError):
        parse_release(name)


def test_a_range_looks_past_the_host_and_names_none() -> None:
    assert parse_range(">=6.14").matches("6.17+protected")
    assert not parse_range("<6.14").matches("6.17+protected")
    with pytest.raises(RangeError, match="names a host, and a range is one of releases"):
        parse_range(">=6.14+protected")


def test_a_host_brings_its_cpu_and_its_own_rules_and_keeps_the_release_s() -> None:
    plain, there = kernel("6.17"), kernel("6.17+cortex-a76+protected")
    assert (plain.cpu, there.cpu) == (CORTEX_A57, CORTEX_A76)
    own = {rule.name for rule in RULES if rule.host == "protected"}
    assert there.rules - plain.rules == own
    assert plain.rules <= there.rules


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.host], ids=lambda rule: rule.name)
def test_no_release_has_a_rule_of_a_host_elsewhere(rule: object) -> None:
    name = getattr(rule, "name", "")
    at = getattr(rule, "host", "")
    having = [row for row in KNOWN_RELEASES if name in kernel(f"{row}+{at}").rules]
    assert having
    others = {"", "+cortex-a76", "+protected", "+gicv3-trapped"} - {f"+{at}"}
    assert not any(name in kernel(f"{having[-1]}{other}").rules for other in others)


@pytest.mark.parametrize("release", ["5.10", "7.3"])
def test_a_kernel_that_was_never_looked_at_on_a_host_is_not_guessed(release: str) -> None:
    words = r"not modelled: protected: only kernels >=6\.1 <7\.3 are modelled"
    for make in (create, lambda name: EmulatedMachine(kernel(name))):
        with pytest.raises(NotSeenThere, match="protected: only kernels") as told:
            make(f"{release}+protected")
        assert re.match(words, str(told.value))
