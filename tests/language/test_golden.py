"""Every kind of fault has a golden file: what is wrong, where, what was found and expected.

``NAME.vcpu.yaml`` is a faulty scenario and ``NAME.txt`` all that is said about it. After a change
that is meant, write the texts anew with ``./test.sh --golden`` and read the difference.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from vcpu_scenario.language import load
from vcpu_scenario.source import InvalidScenario

from tests import goldenfiles

FOLDER = Path(__file__).parent / "golden"
SCENARIOS = sorted(path.name.removesuffix(".vcpu.yaml") for path in FOLDER.glob("*.vcpu.yaml"))


def complaints(path: Path) -> str:
    with pytest.raises(InvalidScenario) as raised:
        load(path)
    return f"{raised.value}\n"


def compare(name: str, text: str) -> None:
    golden = FOLDER / f"{name}.txt"
    if goldenfiles.are_renewed():
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_faulty_scenario_is_told_all_its_faults(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FOLDER)
    compare(name, complaints(Path(f"{name}.vcpu.yaml")))


GUEST = b"title: made by a test\nguest: {words: [0xd4200000]}\n"


def bomb(path: Path) -> None:
    lines = ["a: &a0 [x, x, x, x, x, x, x, x]"]
    lines += [f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 12)]
    path.write_text("\n".join(lines))


def link(path: Path) -> None:
    path.write_bytes(GUEST.replace(b"words: [0xd4200000]", b"binary: link.bin"))
    (path.parent / "link.bin").symlink_to("/etc/passwd")


def pipe(path: Path) -> None:
    path.write_bytes(GUEST.replace(b"words: [0xd4200000]", b"binary: pipe.bin"))
    os.mkfifo(path.parent / "pipe.bin")


def huge_contents(path: Path) -> None:
    path.write_bytes(GUEST.replace(b"words: [0xd4200000]", b"binary: huge.bin"))
    with (path.parent / "huge.bin").open("wb") as huge:
        huge.truncate(1 << 30)


def empty_contents(path: Path) -> None:
    path.write_bytes(GUEST.replace(b"words: [0xd4200000]", b"binary: empty.bin"))
    (path.parent / "empty.bin").touch()


MADE: dict[str, Callable[[Path], object]] = {
    "file-missing": lambda path: (path.parent / "mode.vcpu.yaml").write_bytes(GUEST),
    "file-folder": lambda path: path.mkdir(),
    "file-pipe": lambda path: os.mkfifo(path),
    "file-empty": lambda path: path.write_bytes(b""),
    "file-comment": lambda path: path.write_bytes(b"# nothing but this\n"),
    "file-huge": lambda path: path.write_bytes(b"#" * (1 << 20) + b"\n" + GUEST),
    "file-binary": lambda path: path.write_bytes(b"\x7fELF\x02\x01\x01\x00\xb7"),
    "file-latin-1": lambda path: path.write_bytes(GUEST + "about: Übung\n".encode("latin-1")),
    "file-utf-16": lambda path: path.write_bytes(GUEST.decode().encode("utf-16")),
    "file-control": lambda path: path.write_bytes(GUEST + b"about: a \x1b[31mred\x1b[0m word\n"),
    "file-list": lambda path: path.write_bytes(b"- title: made by a test\n"),
    "file-nested": lambda path: path.write_bytes(b"title: " + b"[" * 500),
    "file-bomb": bomb,
    "guest-link": link,
    "guest-pipe": pipe,
    "guest-huge": huge_contents,
    "guest-empty": empty_contents,
}


@pytest.mark.parametrize("name", sorted(MADE))
def test_an_odd_file_is_refused_in_words(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("made.vcpu.yaml")
    MADE[name](path)
    compare(name, complaints(path))


def test_each_golden_text_belongs_to_a_faulty_scenario() -> None:
    texts = {path.stem for path in FOLDER.glob("*.txt")}
    assert texts == {*SCENARIOS, *MADE}
