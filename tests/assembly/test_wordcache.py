"""Words kept beside a scenario: they stand for an assembler until the source changes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vcpu_scenario.assembly import cache as wordcache
from vcpu_scenario.assembly.assemble import Assembled, NoAssembler
from vcpu_scenario.assembly.assemblers import VARIABLE, Assembler
from vcpu_scenario.assembly.cache import (
    assemble_for,
    cached,
    differences,
    refresh,
    store,
    words_path,
)

BASE = 0x4000_0000
SOURCE = "start: mov x0, #1\n b start\n"
SENTENCE = 'text: .asciz "ab"\n nop\n'


def assembled(code: bytes, symbols: dict[str, int], lines: dict[int, int]) -> Assembled:
    return Assembled(code, MappingProxyType(symbols), MappingProxyType(lines))


KEPT = assembled(bytes.fromhex("200080d2ffffff17"), {"start": BASE}, {BASE: 1, BASE + 4: 2})


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    return tmp_path / "step.vcpu.yaml"


@pytest.fixture
def no_assembler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "none")


def test_the_words_are_beside_the_scenario(scenario: Path) -> None:
    assert words_path(scenario) == scenario.with_name("step.words.json")
    assert words_path(Path("a/b.yaml")) == Path("a/b.words.json")


@pytest.mark.usefixtures("no_assembler")
def test_kept_words_need_no_assembler(scenario: Path) -> None:
    assert store(scenario, {(SOURCE, BASE): KEPT})
    assert assemble_for(scenario, SOURCE, BASE) == KEPT


@pytest.mark.usefixtures("no_assembler")
def test_another_source_or_address_needs_one(scenario: Path) -> None:
    store(scenario, {(SOURCE, BASE): KEPT})
    for source, base in ((SOURCE + "\n", BASE), (SOURCE, BASE + 0x1000)):
        assert cached(scenario, source, base) is None
        with pytest.raises(NoAssembler):
            assemble_for(scenario, source, base)


@pytest.mark.slow
def test_reading_kept_words_loads_nothing_that_only_assembling_needs(scenario: Path) -> None:
    store(scenario, {(SOURCE, BASE): KEPT})
    script = (
        "import sys; from pathlib import Path\n"
        "from vcpu_scenario.assembly.cache import assemble_for\n"
        f"assert assemble_for(Path({str(scenario)!r}), {SOURCE!r}, {BASE}).code\n"
        "loaded = {'elftools', 'capstone', 'subprocess', 'vcpu_scenario.assembly.assemblers'}\n"
        "sys.exit(str(loaded & sys.modules.keys()) if loaded & sys.modules.keys() else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_file_reads_instruction_by_instruction(scenario: Path) -> None:
    words = assembled(
        KEPT.code + bytes(64) + b"ab\0",
        {"start": BASE, "text": BASE + 72},
        {**KEPT.lines, BASE + 8: 3, BASE + 72: 4},
    )
    store(scenario, {(SOURCE, BASE): words})
    document = json.loads(words_path(scenario).read_text())
    (entry,) = document["sources"].values()
    assert entry == {
        "base": "0x40000000",
        "size": 75,
        "symbols": {"start": "0x40000000", "text": "0x40000048"},
        "rows": [
            "40000000 d2800020 1",
            "40000004 17ffffff 2",
            "40000008 00000000 3",
            "40000048 =616200 4",
        ],
    }


def test_storing_the_same_again_changes_nothing(scenario: Path) -> None:
    assert store(scenario, {(SOURCE, BASE): KEPT})
    before = words_path(scenario).read_bytes()
    assert not store(scenario, {(SOURCE, BASE): KEPT})
    assert words_path(scenario).read_bytes() == before


def test_the_order_of_sources_does_not_show(scenario: Path) -> None:
    entries = {(SOURCE + "\n" * n, BASE): KEPT for n in range(5)}
    store(scenario, entries)
    assert not store(scenario, dict(reversed(entries.items())))


def test_what_no_source_needs_is_removed(scenario: Path) -> None:
    store(scenario, {(SOURCE, BASE): KEPT, ("nop", BASE): KEPT})
    store(scenario, {("nop", BASE): KEPT})
    assert cached(scenario, SOURCE, BASE) is None
    assert cached(scenario, "nop", BASE) == KEPT
    assert store(scenario, {})
    assert list(scenario.parent.iterdir()) == []
    assert not store(scenario, {})


def test_refreshed_words_have_no_differences(
    scenario: Path, assembler: Assembler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, assembler.name)
    sources = [(SOURCE, BASE), (SOURCE, 0x8000_0000), (SENTENCE, BASE)]
    assert differences(scenario, sources)
    assert refresh(scenario, sources)
    assert differences(scenario, sources) == []
    assert cached(scenario, SOURCE, BASE) == KEPT
    assert not refresh(scenario, sources)
    assert [n.name for n in scenario.parent.iterdir()] == ["step.words.json"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("d2800020", "d2800040", "offset 0x0 is kept as d2800040, assembled as d2800020"),
        ("17ffffff 2", "17ffffff 3", "the line maps differ"),
        ('"start": "0x40000000"', '"start": "0x40000004"', "the symbols differ"),
        ('"size": 8', '"size": 12', "12 bytes are kept, 8 assembled"),
        ('"size": 8', '"size": 4', "cannot be read"),
        ('"size": 8', '"size": 99999999999', "cannot be read"),
        ('"format": 1', '"format": 2', "are not kept"),
        ('"base"', '"basis"', "cannot be read"),
        ("{", "<<<<<<< ours", "are not kept"),
        ('\n "sources"', '"sources"', "not in the form"),
    ],
)
def test_a_check_names_what_differs(
    scenario: Path,
    assembler: Assembler,
    monkeypatch: pytest.MonkeyPatch,
    old: str,
    new: str,
    said: str,
) -> None:
    monkeypatch.setenv(VARIABLE, assembler.name)
    refresh(scenario, [(SOURCE, BASE)])
    text = words_path(scenario).read_text()
    assert old in text
    words_path(scenario).write_text(text.replace(old, new, 1))
    (sentence,) = differences(scenario, [(SOURCE, BASE)])
    assert said in sentence
    assert sentence.startswith(str(words_path(scenario)))


def test_a_check_names_what_no_source_needs(
    scenario: Path, assembler: Assembler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, assembler.name)
    refresh(scenario, [(SOURCE, BASE), (SENTENCE, BASE)])
    (sentence,) = differences(scenario, [(SOURCE, BASE)])
    assert "belongs to no source" in sentence


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "sources": []}', "[" * 100_000, "\xff"]
)
def test_a_broken_file_is_as_good_as_none(scenario: Path, text: str) -> None:
    words_path(scenario).write_text(text, encoding="latin-1")
    assert cached(scenario, SOURCE, BASE) is None


@pytest.mark.parametrize("entry", ["5", "null", '"x"', "[]", '{"base": "0x0", "size": -1}'])
def test_a_broken_entry_is_as_good_as_none(scenario: Path, entry: str) -> None:
    key = wordcache.digest(SOURCE, BASE)
    words_path(scenario).write_text(f'{{"format": 1, "sources": {{"{key}": {entry}}}}}')
    assert cached(scenario, SOURCE, BASE) is None


@pytest.mark.slow
@given(
    code=st.binary(max_size=80),
    places=st.dictionaries(st.integers(0, 79), st.integers(1, 50), max_size=20),
    symbols=st.dictionaries(st.text(max_size=8), st.integers(0, (1 << 64) - 1), max_size=4),
    base=st.integers(0, (1 << 48) - 1),
)
def test_any_words_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory,
    code: bytes,
    places: dict[int, int],
    symbols: dict[str, int],
    base: int,
) -> None:
    scenario = tmp_path_factory.mktemp("words") / "any.vcpu.yaml"
    lines = {base + at: line for at, line in sorted(places.items()) if at < len(code)}
    words = assembled(code, symbols, lines)
    store(scenario, {("", base): words})
    assert cached(scenario, "", base) == words
