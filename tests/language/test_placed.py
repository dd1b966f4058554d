"""What is put in memory: at least one byte, and over nothing that is there already."""

from __future__ import annotations

from pathlib import Path

import pytest
from vcpu_scenario.language import load
from vcpu_scenario.source import InvalidScenario

from tests.language.build import messages

WORDS = "words: [0xd503201f, 0xd4200000, 0]"
SLOT = "memory: [{at: 0x40000000, size: 64KiB%s}]"


def read(tmp_path: Path, *parts: str, guest: str = WORDS) -> None:
    path = tmp_path / "one.vcpu.yaml"
    (tmp_path / "four.bin").write_bytes(b"\x1f\x20\x03\xd5" * 2)
    (tmp_path / "none.bin").write_bytes(b"")
    head = f"title: t\nguest: {{{guest}}}\ndebug: {{software_breakpoints: true}}\n"
    path.write_text("\n".join([head, *parts, "expect: [{exits: [debug: {}]}]\n"]))
    load(path)


def complaints(tmp_path: Path, *parts: str, guest: str = WORDS) -> str:
    with pytest.raises(InvalidScenario) as told:
        read(tmp_path, *parts, guest=guest)
    return str(told.value)


TREE = f"{WORDS}, device_tree: "


@pytest.mark.parametrize(
    ("guest", "parts", "message", "places"),
    [
        (
            WORDS,
            [SLOT % ", contents: {words: [0]}"],
            "the contents of a slot lie over the guest's code",
            "0x40000000 to 0x40000004, and 0x40000000 to 0x4000000c at line 2",
        ),
        (
            "binary: four.bin",
            [SLOT % ", contents: {words: [1]}"],
            "the contents of a slot lie over the guest's code",
            "0x40000000 to 0x40000004, and 0x40000000 to 0x40000008 at line 2",
        ),
        (
            WORDS,
            ["data: [{at: 0x40000004, words: [1]}]"],
            "these bytes lie over the guest's code",
            "0x40000004 to 0x40000008, and 0x40000000 to 0x4000000c at line 2",
        ),
        (
            WORDS,
            ["data:", "  - {at: 0x40001000, words: [0, 2]}", "  - {at: 0x40001004, words: [3]}"],
            "these bytes lie over other bytes",
            "0x40001004 to 0x40001008, and 0x40001000 to 0x40001008 at line 6",
        ),
        (
            f"{WORDS}, at: 0x40001000",
            [SLOT % ", contents: {words: [1]}", "data: [{at: 0x40000000, words: [2]}]"],
            "these bytes lie over the contents of a slot",
            "0x40000000 to 0x40000004, and 0x40000000 to 0x40000004 at line 5",
        ),
        (f"{TREE} 0x40000000", [], "the device tree lies over the guest's code", "at line 2"),
        (
            f"{TREE} 0x40001000",
            ["data: [{at: 0x40001000, words: [1]}]"],
            "these bytes lie over the device tree",
            "at line 2",
        ),
        (
            "binary: four.bin, device_tree: 0x40000000",
            [],
            "the device tree lies over the guest's code",
            "at line 2",
        ),
    ],
)
def test_what_replaces_bytes_that_are_there_is_told_with_both_places(
    tmp_path: Path, guest: str, parts: list[str], message: str, places: str
) -> None:
    told = complaints(tmp_path, *parts, guest=guest)
    assert f"error: {message}" in told
    assert places in told


@pytest.mark.parametrize(
    ("guest", "parts"),
    [
        (WORDS, ["data: [{at: 0x40000008, words: [1]}]"]),
        (WORDS, ["data: [{at: 0x40000100, words: [0, 1]}, {at: 0x40000100, words: [2]}]"]),
        (WORDS, ["data: [{at: 0x40000100, words: [1]}, {at: 0x40000104, words: [2]}]"]),
        ("binary: four.bin", ["data: [{at: 0x40000004, words: [1]}]"]),
        (WORDS, ["data: [{at: 0x40000100, file: four.bin}, {at: 0x40000104, words: [1]}]"]),
        (
            f"{WORDS}, at: 0x40001000",
            [SLOT % ", contents: {file: four.bin}", "data: [{at: 0x40000000, words: [2]}]"],
        ),
        (f"{TREE} 0x40001000", []),
    ],
)
def test_what_is_0_may_be_filled_in_and_a_file_patched(
    tmp_path: Path, guest: str, parts: list[str]
) -> None:
    read(tmp_path, *parts, guest=guest)


@pytest.mark.parametrize(
    "doing",
    [
        "data: [{at: 0x40001000, %s}]",
        "before: [{write: {at: 0x40001000, %s}}]",
        "memory: [{at: 0x40000000, size: 64KiB, contents: {%s}}]",
        "on: [{first: {debug: {}}, then: [{write: {at: 0x40001000, %s}}]}]",
    ],
)
@pytest.mark.parametrize("nothing", ["words: []", "quads: []", 'text: ""', "file: none.bin"])
def test_no_bytes_to_write_are_told(tmp_path: Path, doing: str, nothing: str) -> None:
    told = complaints(tmp_path, doing % nothing)
    assert "this writes no bytes" in told
    assert "at least one byte" in told


def test_a_file_that_cannot_be_read_is_told_once(tmp_path: Path) -> None:
    told = complaints(tmp_path, "data: [{at: 0x40001000, file: absent.bin}]")
    assert "cannot read the file" in told
    assert "no bytes" not in told


def test_more_pairs_of_bytes_at_one_address_than_can_be_compared_are_an_error() -> None:
    """Bytes that are 0 may be replaced: of each two, what is compared is nothing wrong."""
    data = "  - {at: 0x40001000, words: [0]}\n"
    assert messages("data:\n" + 400 * data + "expect: [{exits: []}]\n") == []
    told = messages("data:\n" + 500 * data + "expect: [{exits: []}]\n")
    assert told == ["too much lies over something else"]
