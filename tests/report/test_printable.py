"""What others wrote does nothing to a terminal or to the log of a CI job."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from vcpu_scenario.cli import main
from vcpu_scenario.host.printable import json_text, printable, tamed

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "memory.vcpu.yaml"


@pytest.mark.parametrize("char", ["\x1b", "\x07", "\n", "\r", "\x9b", "\u202e", "\u2028", "\udcff"])
def test_what_does_not_print_is_escaped(char: str) -> None:
    assert printable(f"a{char}b") == f"a{ascii(char)[1:-1]}b"
    assert json.loads(json_text([char])) == [char]
    assert all(c.isprintable() or c == "\n" for c in json_text([char]))


def test_colours_and_line_breaks_of_our_own_are_kept() -> None:
    assert tamed("\x1b[1;31ma\x1b[0m\n\tb\r\n") == "\x1b[1;31ma\x1b[0m\n\tb\r\n"
    assert tamed("\x1b]0;x\x07\x1b[2J") == "\\x1b]0;x\\x07\\x1b[2J"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("::error::x", "\\x3a:error::x"),
        ("a\n  ::stop-commands::x", "a\n  \\x3a:stop-commands::x"),
        ("a ##[add-mask]x", "a \\x23#[add-mask]x"),
        ("##vso[task.x]", "\\x23#vso[task.x]"),
        ("a::b ## c", "a::b ## c"),
    ],
)
def test_no_line_is_a_command_of_a_ci_service(text: str, meant: str) -> None:
    assert tamed(text) == meant


NAMES = ["\x1b]0;owned\x07", "a\n::error::b", "::stop-commands::x", "\u202egnp", "##[group]x"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "command",
    [
        ("check",),
        ("list",),
        ("list", "--format", "json"),
        ("fmt", "--check"),
        ("explain", "--kernel", "6.12"),
        ("run", "--kernel", "6.12"),
        ("run", "--kernel", "6.12", "--format", "json"),
        ("run", "--kernel", "6.12", "--format", "junit"),
        ("run", "--kernel", "6.12", "--format", "ktap"),
        ("history",),
        ("history", "--format", "json"),
        ("history", "--format", "markdown"),
        ("report", "--kernel", "6.12"),
        ("report", "--kernel", "6.12", "--format", "markdown"),
        ("record", "--machine", "emulated:6.12"),
        ("record", "--machine", "emulated:6.12", "--format", "oracle"),
        ("migrate", "--diff"),
        ("export", "--kernel", "6.12"),
        ("assemble", "--check"),
        ("stops", "--kernel", "6.12"),
        ("stops", "--kernel", "6.12", "--format", "html"),
    ],
    ids=" ".join,
)
def test_a_name_and_a_title_do_nothing(
    name: str,
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    text = EXAMPLE.read_text()
    title = next(line for line in text.split("\n") if line.startswith("title:"))
    good, bad = Path(f"{name}.vcpu.yaml"), Path(f"{name}-bad.vcpu.yaml")
    good.write_text(text.replace(title, f"title: {json.dumps(name + 'title')}"))
    bad.write_text("title: [\n")
    for file in (str(good), str(bad), str(good)[:-3]):
        main([command[0], file, *command[1:]])
        told = capsys.readouterr()
        assert_does_nothing(told.out + told.err)


def assert_does_nothing(text: str) -> None:
    for line in text.split("\n"):
        assert line.isprintable() or "\t" in line
        assert not line.lstrip().startswith("::")
        assert "##[" not in line


@pytest.mark.slow
@pytest.mark.parametrize("form", ["html", "json", "junit", "ktap", "text"])
def test_a_report_on_standard_output_is_no_command_of_a_ci_service(
    form: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Titles, notes and names of parameters and files are a stranger's; so is what differs."""
    monkeypatch.chdir(tmp_path)
    for number, hostile in enumerate(("##[error]x", "::error::x", "##vso[task.complete]x")):
        words = f"guest: {{words: [0xd4200000]}}\nmatrix: {{x: [{json.dumps(hostile)}]}}\n"
        about = f"about: {json.dumps(chr(10) + hostile + chr(10) + hostile)}\n"
        said = json.dumps(hostile)
        clause = f"expect: [{{about: {said}, exits: [any: {{pc: 4, note: {said}}}]}}]\n"
        Path(f"f{number}{hostile.replace('/', '')}.vcpu.yaml").write_text(
            f"title: {json.dumps(hostile)}\n{about}{words}{clause}"
        )
    main(["run", ".", "--kernel", "6.12", "--format", form])
    assert_does_nothing(capsys.readouterr().out)


def test_a_name_that_is_not_utf8_goes_through_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"a\xff.vcpu.yaml")
    Path(name).write_text(EXAMPLE.read_text())
    report = ("--format", "json", "--output", "r.json")
    status = main(["run", name, "--kernel", "6.12", *report])
    Path("r.json").read_bytes().decode("ascii")
    assert main(["merge", "r.json"]) == status
    assert "\\udcff" in capsys.readouterr().out


def test_a_report_opens_no_file_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("a.vcpu.yaml").write_text(EXAMPLE.read_text())
    (tmp_path / "b.vcpu.yaml").write_text("title: secret5e7d [\n")
    main(["run", "a.vcpu.yaml", "--kernel", "6.12", "--format", "json", "--output", "r.json"])
    text = Path("r.json").read_text()
    Path("link.vcpu.yaml").symlink_to(tmp_path / "b.vcpu.yaml")
    for other in ("../b.vcpu.yaml", str(tmp_path / "b.vcpu.yaml"), "/etc/passwd", "link.vcpu.yaml"):
        Path("r.json").write_text(text.replace('"a.vcpu.yaml"', json.dumps(other)))
        assert main(["merge", "r.json"]) == 4
        told = capsys.readouterr()
        assert "secret5e7d" not in told.out + told.err
        assert "which is no scenario in this folder" in told.err
