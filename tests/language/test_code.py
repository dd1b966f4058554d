"""Assembly within a scenario: its labels, its lines, and where its faults are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from vcpu_scenario.assembly import cache as wordcache
from vcpu_scenario.assembly.assemble import AssemblerError, NoAssembler, Problem
from vcpu_scenario.assembly.cache import words_path
from vcpu_scenario.language import load
from vcpu_scenario.source import InvalidScenario, render, split_lines

from tests import goldenfiles
from tests.language.build import scenario

CODE = """\
title: code in a block
guest:
  at: 0x40000000
  # a comment, and blank lines that are part of the text
  code: |  # the literal

    // a comment of the assembler
    start: mov  x0, #0x09000000

    poll:  ldr  w1, [x0, #0x18] ; add x2, x2, #1
           brk  #7
  entry: poll
"""


def test_labels_of_the_code_are_names_everywhere() -> None:
    text = CODE + "debug: {}\nexpect: [{exits: [{debug: {brk: poll+8}}], stops: [start]}]\n"
    (found,) = scenario(text).cases(["6.12"])
    assert found.symbols == {"start": 0x40000000, "poll": 0x40000004}
    assert dict(found.case.regs)["pc"] == 0x40000004
    assert found.expectation is not None
    assert found.expectation.stops is not None
    assert found.expectation.stops[0].pc == 0x40000000


def test_each_instruction_knows_its_line_in_the_file() -> None:
    (found,) = scenario(CODE).cases(["6.12"])
    lines = split_lines(CODE)
    texts = {
        addr - 0x40000000: lines[span.line - 1][span.column - 1 : span.end_column - 1]
        for addr, span in found.lines.items()
    }
    assert texts == {
        0: "start: mov  x0, #0x09000000",
        4: "poll:  ldr  w1, [x0, #0x18] ; add x2, x2, #1",
        8: "poll:  ldr  w1, [x0, #0x18] ; add x2, x2, #1",
        12: "brk  #7",
    }


FAULTY = {
    "literal": ("guest:\n  code: |\n    nop\n      frob x0\n", 4, 7),
    "literal, kept": ("guest:\n  code: |+\n    nop\n    frob x0\n\n", 4, 5),
    "literal, indented": ("guest:\n  code: |2\n      nop\n     frob x0\n", 4, 6),
    "plain": ("guest: {code: frob x0}\n", 1, 15),
    "quoted": ("guest: {code: 'frob x0'}\n", 1, 16),
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_fault_of_the_assembler_is_shown_where_it_stands(name: str) -> None:
    text, line, column = FAULTY[name]
    text = f"{text}title: x\n"
    with pytest.raises(InvalidScenario) as raised:
        scenario(text)
    (found,) = raised.value.diagnostics
    assert (found.span.line, found.span.column) == (line, column)
    shown = render(found, text).split("\n")
    start = shown[2].index("^")
    assert shown[1][start:].startswith("frob")


def test_all_faults_of_the_assembler_are_told_with_those_of_the_rest() -> None:
    text = (
        "title: x\n"
        "guest:\n"
        "  code: |\n"
        "    start: frob x0\n"
        "           nop\n"
        "           mov x99, #1\n"
        "  registers: {x0: strat}\n"
        "limits: {exits: 0}\n"
    )
    with pytest.raises(InvalidScenario) as raised:
        scenario(text)
    places = [found.span.line for found in raised.value.diagnostics]
    # Which labels there are is not known, so `strat` may be one.
    assert places == [4, 6, 8]


def failing(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def assemble(*_: object) -> None:
        raise error

    monkeypatch.setattr(wordcache, "assemble", assemble)


def test_faults_of_the_assembler_look_like_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = [
        Problem(3, 8, "unknown mnemonic", "did you mean `mov`?"),
        Problem(5, 17, "']' expected"),
        Problem(99, 99, "beyond the end"),
    ]
    failing(AssemblerError(problems), monkeypatch)
    with pytest.raises(InvalidScenario) as raised:
        scenario(CODE)
    text = "\n".join(render(found, CODE) for found in raised.value.diagnostics)
    golden = Path(__file__).parent / "code.txt"
    if goldenfiles.are_renewed():
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_without_an_assembler_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(NoAssembler("install one"), monkeypatch)
    with pytest.raises(InvalidScenario) as raised:
        scenario(CODE)
    (found,) = raised.value.diagnostics
    assert found.message == "this code needs an assembler"
    assert found.found == "install one"
    assert found.span.line == 5


def test_kept_words_need_no_assembler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "made.vcpu.yaml"
    path.write_text(CODE)
    before = load(path)
    wordcache.refresh(path, before.sources)
    assert words_path(path).exists()

    def assemble(*_: object) -> None:
        raise AssertionError("assembled again")

    monkeypatch.setattr(wordcache, "assemble", assemble)
    after = load(path)
    assert after.combinations == before.combinations


def test_the_same_code_is_assembled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = wordcache.assemble

    def assemble(source: str, *other: Any) -> object:
        calls.append(source)
        return real(source, *other)

    monkeypatch.setattr(wordcache, "assemble", assemble)
    scenario(CODE + "matrix: {n: [1, 2, 3]}\nfeatures: []\nlimits: {exits: '${n}'}\n")
    assert len(calls) == 1


def test_a_symbol_may_not_be_a_label_already() -> None:
    text = CODE.replace(
        "  entry: poll\n", "  symbols: {poll: 0, other: 0x40000008}\n  entry: other\n"
    )
    with pytest.raises(InvalidScenario) as raised:
        scenario(text)
    messages = [found.message for found in raised.value.diagnostics]
    assert messages == ["the code already has a label `poll`"]


def test_empty_code_is_told() -> None:
    with pytest.raises(InvalidScenario) as raised:
        scenario("title: x\nguest:\n  code: |\n    // nothing\n")
    assert [found.message for found in raised.value.diagnostics] == ["the code is empty"]
