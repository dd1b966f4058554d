"""Clauses are merged where a reader gains by it, and every case expects what it did."""

from __future__ import annotations

from pathlib import Path

import pytest
from vcpu_scenario.authoring.formatting import formatted, meaning
from vcpu_scenario.authoring.merging.merge import merged
from vcpu_scenario.authoring.merging.ranges import Place, Wording
from vcpu_scenario.kernels.release import parse_range, parse_release
from vcpu_scenario.language import loads

from tests.commandline import Scenario

NOWHERE = Path("made.vcpu.yaml")
HEAD = """\
title: made by a test
vmm: [plain, qemu]

guest:
  words: [0xd503201f, 0xd4200000]
  symbols: {start: 0x40000000, done: 0x40000004}

devices:
  uart: {handled_by: userspace, at: 0x09000000}

debug: {single_step: true}

expect:
"""

APART = """\
  - kernels: "<=4.14"
    about: pc has moved.
    exits:
      - debug: {step: start}
      - mmio: {read: uart, len: 4, pc: done}  # too late
      - debug: {step: done, regs: {x1: 0}}
  - kernels: ["4.15..4.20", "5.3..5.10"]
    about: A step is made up.
    exits:
      - debug: {step: start}
      - mmio: {read: uart, len: 4, pc: start}
      - debug: {step: start, after_emulation: true}
      - debug: {step: done, regs: {x1: 1}}
  - exits:
      - debug: {step: start}
      - mmio: {read: uart, len: 4, pc: start}
      - debug: {step: done, regs: {x1: 1}}
"""

TOGETHER = """\
  - about:
      "4.14": pc has moved.
      "4.15..4.20, 5.3..5.10": A step is made up.
    exits:
      - debug: {step: start}
      - mmio: {read: uart, len: 4, pc: {"4.14": done, else: start}}  # 4.14: too late
      - debug: {step: start, after_emulation: true, kernels: ["4.15..4.20", "5.3..5.10"]}
      - debug: {step: done, regs: {x1: {"4.14": 0, else: 1}}}
"""


def written(clauses: str) -> str:
    text = merged(HEAD + clauses, NOWHERE)
    return formatted(text, NOWHERE).removeprefix(HEAD)


def test_what_clauses_have_in_common_stands_once() -> None:
    assert written(APART) == TOGETHER
    assert meaning(loads(HEAD + TOGETHER, NOWHERE)) == meaning(loads(HEAD + APART, NOWHERE))


def test_what_is_merged_stays_as_it_is() -> None:
    assert written(TOGETHER) == TOGETHER


def test_a_new_clause_joins_one_that_has_conditions_already() -> None:
    one, rest = APART.split("  - kernels: [", 1)
    later = written("  - kernels: [" + rest).replace("exits:", "exits:", 1)
    assert written(one + later) == TOGETHER


@pytest.mark.parametrize(
    "clauses",
    [
        # Sequences with nothing in common.
        """\
  - kernels: "<5.0"
    exits:
      - debug: {step: start}
      - debug: {step: done}
  - kernels: ">=5.0"
    exits:
      - mmio: {read: uart}
      - mmio: {write: uart}
""",
        # A refusal, and a known failure.
        """\
  - kernels: "<5.0"
    refused: {errno: EINVAL}
  - kernels: "5.0..5.10"
    xfail: {reason: why, link: "https://example.org/1"}
    exits:
      - debug: {step: start}
  - exits:
      - debug: {step: start}
""",
        # One clause speaks of the exits, the other does not.
        """\
  - kernels: "<5.0"
    exits:
      - debug: {step: start}
    final:
      regs: {x1: 1}
  - kernels: ">=5.0"
    final:
      regs: {x1: 1}
""",
        # A variant beside the releases.
        """\
  - kernels: ">=4.14"
    exits:
      - debug: {step: start}
      - debug: {step: done}
  - kernels: "5.0-v2trap"
    exits:
      - debug: {step: start}
      - debug: {step: done}
""",
    ],
)
def test_what_is_easier_to_read_apart_stays_apart(clauses: str) -> None:
    assert written(clauses) == clauses


def test_vmms_that_differ_a_little_are_merged_and_others_are_not() -> None:
    little = """\
  - vmm: [plain]
    stops:
      - start
      - done
      - done+4
  - vmm: [qemu]
    stops:
      - start
      - done
      - done
      - done+4
"""
    assert (
        written(little)
        == """\
  - stops:
      - start
      - done
      - {at: done, vmm: qemu}
      - done+4
"""
    )


def test_what_is_at_the_end_is_merged_as_well() -> None:
    head = HEAD.replace(
        "at: 0x09000000}",
        """model: pl011, at: 0x09000000}
  bell: {handled_by: kernel, model: ioeventfd, at: 0x0a000000, len: 4}
  log: {handled_by: kernel, model: coalesced, at: 0x0b000000, size: 0x100}""",
    )
    apart = """\
  - kernels: "<5.0"
    final:
      regs: {x1: 1, x2: 2}
      memory:
        - {at: start, words: [1]}
        - {at: done, words: [3]}
      eventfd: {bell: 1}
      ring:
        - {at: log, len: 4, data: 1}
        - {at: log+4, len: 4, data: 2}
      output: {uart: a}
  - final:
      regs: {x1: 1, x2: 3}
      memory:
        - {at: start, words: [1]}
        - {at: done, words: [4]}
      eventfd: {bell: 2}
      ring:
        - {at: log, len: 4, data: 1}
      output: {uart: b}
"""
    together = """\
  - final:
      regs: {x1: 1, x2: {"<5.0": 2, else: 3}}
      memory:
        - {at: start, words: [1]}
        - {at: done, words: {"<5.0": [3], else: [4]}}
      eventfd: {bell: {"<5.0": 1, else: 2}}
      ring:
        - {at: log, len: 4, data: 1}
        - {at: log+4, len: 4, data: 2, kernels: "<5.0"}
      output: {uart: {"<5.0": a, else: b}}
"""
    found = formatted(merged(head + apart, NOWHERE), NOWHERE)
    assert found.removeprefix(head) == together
    assert meaning(loads(found, NOWHERE)) == meaning(loads(head + apart, NOWHERE))


def test_a_comment_is_never_lost() -> None:
    clauses = """\
  # of the old ones
  - kernels: "<5.0"
    exits:
      # the first
      - debug: {step: start}
      - debug: {step: done}  # the second
  - kernels: ">=5.0"
    exits:
      - debug: {step: start}  # of the new ones
      - debug: {step: done}  # the second
"""
    found = written(clauses)
    for comment in ("of the old ones", "the first", "the second", "of the new ones"):
        assert comment in found
    assert found.count("the second") < 3


RELEASES = [
    *map(parse_release, ("4.14", "4.15", "4.20", "5.0", "5.2", "5.3", "5.10", "6.1", "7.3"))
]
WORDING = Wording(tuple(RELEASES))


@pytest.mark.parametrize("bits", range(1, 1 << len(RELEASES)))
def test_ranges_fit_what_they_are_made_for_and_nothing_else(bits: int) -> None:
    wanted = {release for n, release in enumerate(RELEASES) if bits >> n & 1}
    found = WORDING.ranges(wanted, RELEASES)
    assert {r for r in RELEASES if any(parse_range(t).admits(r) for t in found)} == wanted


@pytest.mark.parametrize("bits", range(1, 1 << 8))
def test_of_conditions_one_holds_at_each_place_and_none_at_any_other(bits: int) -> None:
    every = [Place(release, vmm) for release in RELEASES[:4] for vmm in ("plain", "qemu")]
    wanted = frozenset(place for n, place in enumerate(every) if bits >> n & 1)
    found = WORDING.conditions(wanted, frozenset(every))
    for place in every:
        holding = [
            one
            for one in found
            if (
                one.kernels is None or any(parse_range(t).admits(place.kernel) for t in one.kernels)
            )
            and (one.vmms is None or place.vmm in one.vmms)
        ]
        assert len(holding) == (place in wanted)


def test_the_command_merges_and_says_what_it_would_change(
    scenario: Scenario, tmp_path: Path
) -> None:
    path = tmp_path / "made.vcpu.yaml"
    path.write_text(HEAD + APART)
    assert scenario("fmt", "made.vcpu.yaml").status == 0
    assert path.read_text() == HEAD + APART
    assert scenario("fmt", "--merge", "--check", "made.vcpu.yaml").status == 1
    assert scenario("fmt", "--merge", "made.vcpu.yaml").status == 0
    assert path.read_text() == HEAD + TOGETHER
    assert scenario("fmt", "--merge", "--check", "made.vcpu.yaml").status == 0
