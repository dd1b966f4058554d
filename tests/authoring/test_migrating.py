"""``scenario migrate`` writes the present words, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from vcpu_scenario.authoring.migrating import migrated
from vcpu_scenario.language import loads
from vcpu_scenario.source import InvalidScenario

HERE = Path("here.vcpu.yaml")
HEAD = "title: of 0.1 # the title\nguest: {words: [0xd503201f, 0xd4000002]}\n"
OLD = (
    HEAD
    + """\
memory:
  - {at: 0x40000000, size: 4KiB}
devices:
  uart: {handled_by: userspace, at: 0x09000000, registers: {0x18: 0x90}}
before:
  - vcpu_events: {external_abort: true, serror:   false}   # do: serror
on:
  # What is done, do: it.
  - exit: 0
    "do":
      - mmio_data: 0x1
"""
)
NEW = (
    OLD.replace("external_abort:", "ext_dabt_pending:")
    .replace("serror:   ", "serror_pending:   ")
    .replace('"do"', '"then"')
    .replace("mmio_data", "reply")
)


def test_old_keys_get_their_present_names_and_all_else_stays() -> None:
    assert migrated(OLD, HERE) == NEW
    assert loads(NEW, HERE).title == "of 0.1"


def test_what_is_migrated_has_nothing_to_migrate() -> None:
    assert migrated(NEW, HERE) == NEW


def test_line_ends_stay() -> None:
    assert migrated(OLD.replace("\n", "\r\n"), HERE) == NEW.replace("\n", "\r\n")


def test_words_that_are_no_keys_of_the_language_stay() -> None:
    text = "title: do\nguest: {words: [0], symbols: {do: 1, iss: 2}}\ndevices:\n  do: {iss: 1}\n"
    assert migrated(text, HERE) == text


def test_more_old_keys_than_faults_are_shown_are_all_migrated() -> None:
    text = HEAD + "on:\n" + "".join(f"  - {{exit: {n}, do: []}}\n" for n in range(500))
    assert migrated(text, HERE) == text.replace(", do:", ", then:")


def test_the_anchor_of_a_key_stays() -> None:
    text = HEAD + "on: [{exit: 0, &a do: []}, {exit: 1, *a : []}]\n"
    assert migrated(text, HERE) == text.replace("do:", "then:")


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ('{exit: 0, "\\x64o": []}', "a key in this form is not migrated"),
        ("{exit: 0, do: [], then: []}", "`do` is `then` by an older word"),
        ("{exit: 0, do: [", "not YAML"),
    ],
)
def test_what_cannot_be_migrated_is_said(item: str, message: str) -> None:
    with pytest.raises(InvalidScenario, match=message):
        migrated(HEAD + f"on: [{item}]\n", HERE)


def test_a_version_that_is_not_known_says_what_to_do() -> None:
    assert loads("version: 1\n" + NEW, HERE).title == "of 0.1"
    with pytest.raises(InvalidScenario, match=r"(?s)1:10: .*expected: 1.*scenario migrate"):
        loads("version: 2\n" + NEW, HERE)


def test_older_words_that_version_1_keeps_get_the_present_one() -> None:
    text = HEAD.replace("words: [0xd503201f, 0xd4000002]", "words: [0], 'registers': {x0: 1} ")
    device = "devices: {uart: {handled_by: userspace, at: 0x09000000, registers: {0: 1}}}\n"
    assert migrated(text + device, HERE) == text.replace("'registers'", "'regs'") + device
    both = text.replace("words: [0]", "words: [0], regs: {x1: 1}")
    assert migrated(both, HERE) == both
    assert migrated(both.replace("guest: {", "guest: {&a "), HERE)
