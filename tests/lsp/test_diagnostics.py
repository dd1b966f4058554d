"""What `scenario check` has against a text is underlined where it is, as it is written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from vcpu_scenario.language.loader import loads
from vcpu_scenario.source import InvalidScenario, Span

from tests.editor.marked import Place, marked

from .client import Editor, place
from .conftest import ROOT

pytestmark = pytest.mark.slow  # a language server is asked

GOOD = "title: t\nguest: {words: [1]}\n"
FAULTY = {
    "a key": f"{GOOD}«gest»: 1\n",
    "several at once": (
        f"{GOOD}«gest»: 1\ndevices: {{uart: {{handled_by: «userspase», at: 0}}}}\n"
        "expect:\n  - exits:\n      - mmio: {read: 0, len: «3»}\n"
    ),
    "a label that only the check knows not to be there": (
        "title: t\nguest:\n  code: |\n    loop: nop\nexpect:\n  - exits: [debug: {step: «lop»}]\n"
    ),
    "a kernel of one exit": (
        f"{GOOD}expect:\n  - exits:\n      - any: {{}}\n      - any: {{kernels: «newest»}}\n"
    ),
    "an instruction": "title: t\nguest:\n  code: |\n    nop\n    «frobnicate» x0\n",
}


@pytest.mark.parametrize("name", FAULTY)
def test_each_fault_is_at_its_place(name: str, shared: Editor, path: Path) -> None:
    text, wanted = marked(FAULTY[name])
    shared.open(path, text)
    found = shared.faults(path)
    assert {place(each) for each in found} == wanted


def test_columns_are_counted_as_the_protocol_does(shared: Editor, path: Path) -> None:
    """In UTF-16, of which the letters of this text have two units."""
    text, ((line, start, end),) = marked(f'{GOOD}expect: [{{about: "🅰🅰", exits: [], «foo»: 1}}]\n')
    shared.open(path, text)
    assert [place(each) for each in shared.faults(path)] == [Place(line, start + 2, end + 2)]


def test_broken_yaml_is_a_fault(shared: Editor, path: Path) -> None:
    shared.open(path, f"{GOOD}tags: [a, b\n")
    (only,) = shared.faults(path)
    assert only["message"].startswith("not YAML")
    assert only["range"]["start"]["line"] == 2


def spans(text: str, path: Path) -> list[tuple[Span, str]]:
    try:
        loads(text, path, strictly=True)
    except InvalidScenario as invalid:
        return [(each.span, each.message) for each in invalid.diagnostics]
    return []


@pytest.mark.parametrize(
    "file", sorted((ROOT / "tests/language/golden").glob("*.vcpu.yaml")), ids=lambda file: file.name
)
def test_it_is_what_the_check_says(file: Path, shared: Editor, tmp_path: Path) -> None:
    copy = tmp_path / file.name
    for other in file.parent.glob(f"{file.name.partition('.')[0]}*"):
        shutil.copy(other, tmp_path)
    text = file.read_text(encoding="utf-8", errors="replace").removeprefix("\ufeff")
    shared.open(copy, text)
    found = shared.faults(copy)
    wanted = spans(text, copy)
    assert [each["message"].partition("\n")[0] for each in found] == [m for _, m in wanted]
    if text.isascii():
        at = [(s.line - 1, s.column - 1) for s, _ in wanted]
        start = [each["range"]["start"] for each in found]
        lines = text.split("\n")
        inside = [
            (line, column)
            for line, column in at
            if line < len(lines) and column <= len(lines[line])
        ]
        assert [(s["line"], s["character"]) for s in start][: len(inside)] == inside


def test_a_shipped_scenario_has_none_with_its_kept_words(shared: Editor) -> None:
    file = ROOT / "scenarios/thread/pl011-write-step.vcpu.yaml"
    shared.open(file, file.read_text())
    assert shared.faults(file) == []
    shared.shut(file)


def test_they_follow_the_text(shared: Editor, path: Path) -> None:
    shared.open(path, f"{GOOD}gest: 1\n")
    assert len(shared.faults(path)) == 1
    shared.change(path, f"{GOOD}gest: 1\nfoo: 2\n")
    assert len(shared.faults(path)) == 2
    shared.change(path, GOOD)
    assert shared.faults(path) == []


def test_the_last_of_many_keystrokes_is_answered(shared: Editor, path: Path) -> None:
    shared.open(path, GOOD)
    for n in range(1, 60):
        shared.change(path, f"{GOOD}{'x' * n}: 1\n")
    (only,) = shared.faults(path)
    assert "x" * 59 in only["message"]


def test_a_file_that_is_there_by_now_is_seen_once_the_scenario_is_saved(
    shared: Editor, path: Path
) -> None:
    shared.open(path, "title: t\nguest: {binary: guest.bin}\n")
    assert len(shared.faults(path)) == 1
    (path.parent / "guest.bin").write_bytes(bytes(4))
    shared.save(path)
    assert shared.faults(path) == []


def test_a_file_outside_the_folder_is_not_read(shared: Editor, tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(b"\0" * 64)
    inner = tmp_path / "inner"
    inner.mkdir()
    path = inner / "made.vcpu.yaml"
    shared.open(path, "title: t\nguest: {binary: ../secret.bin}\n")
    (only,) = shared.faults(path)
    assert only["message"].startswith("cannot read the file `../secret.bin`")
