"""No source has a file opened: it is expanded and checked, and the assembler is confined."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from vcpu_scenario.assembly import confinement
from vcpu_scenario.assembly.assemble import AssemblerError, assemble_with
from vcpu_scenario.assembly.assemblers import Assembler
from vcpu_scenario.cli import main

SECRET = "secret5e7d words"

landlock = pytest.mark.skipif(not confinement.version(), reason="the system has no Landlock")

BY_MACROS = {
    "concatenation": '.macro z s\n.inc\\s "{}"\n.endm\nz bin',
    "a default": '.macro z s=bin\n.inc\\s "{}"\n.endm\nz',
    "an irp": '.irp d, include\n.\\d "{}"\n.endr',
    "an irpc": '.irpc c, n\n.incbi\\c "{}"\n.endr',
    "a separator in an argument": '.macro z s\nnop \\s\n.endm\nz "; .incbin \\"{}\\""',
    "altmacro": '.altmacro\n.macro z s\n.inc&s "{}"\n.endm\nz bin',
    "a macro in a macro": '.macro z s\n.macro y\n.inc\\s "{}"\n.endm\ny\n.endm\nz bin',
    "MRI syntax": '.mri 1\n incbin "{}"',
    "a carriage return": 'nop \r.incbin "{}"',
    "a form feed": 'nop \f.incbin "{}"',
    "a string that is not ended": '.ascii "\n.incbin "{}"',
    "a constant that looks like a string": 'mov w0, #\'"; .incbin "{}" //"',
    "capitals": '.InCbIn "{}"',
    "a label": 'l: .include "{}"',
}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    return path


@pytest.mark.parametrize("name", BY_MACROS)
def test_no_source_reads_a_file(name: str, assembler: Assembler, secret: Path) -> None:
    with pytest.raises(AssemblerError) as raised:
        assemble_with(assembler, BY_MACROS[name].replace("{}", str(secret)), 0)
    assert SECRET.split()[0] not in str(raised.value)


@pytest.mark.parametrize("name", BY_MACROS)
def test_the_check_alone_is_enough(
    name: str, assembler: Assembler, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "version", lambda: 0)
    with pytest.raises(AssemblerError) as raised:
        assemble_with(assembler, BY_MACROS[name].replace("{}", str(secret)) + "\n", 0)
    assert SECRET.split()[0] not in str(raised.value)


@landlock
@pytest.mark.parametrize("directive", [".incbin", ".include"])
def test_the_confinement_alone_is_enough(
    directive: str, assembler: Assembler, secret: Path
) -> None:
    output = assembler.run(f'{directive} "{secret}"\n')
    assert output.object is None
    assert SECRET.split()[0] not in str(output.diagnostics)


@landlock
def test_what_is_confined_is_said(assembler: Assembler, monkeypatch: pytest.MonkeyPatch) -> None:
    assert assembler.described.endswith("confined by Landlock")
    monkeypatch.setattr(confinement, "version", lambda: 0)
    assert "not confined, only its source is checked: the system has no" in assembler.described


def test_a_script_is_not_confined_and_that_is_said(tmp_path: Path) -> None:
    script = tmp_path / "as"
    script.write_text("#!/bin/sh\n")
    assert "no ELF program" in confinement.unavailable(str(script)) or not confinement.version()


def test_the_version_names_the_assembler(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("scenario ")
    assert "\nassembler: " in out


@pytest.mark.skipif(shutil.which("aarch64-linux-gnu-as") is None, reason="needs GNU as")
@pytest.mark.parametrize("name", ["outside-by-macro", "outside-by-irp"])
def test_check_shows_nothing_of_a_file_outside(
    name: str, secret: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = {
        "outside-by-macro": [".macro z s", f'.inc\\s "{secret}"', ".endm", "z bin"],
        "outside-by-irp": [".irp d, include", f'.\\d "{secret}"', ".endr"],
    }[name]
    code = "".join(f"    {line}\n" for line in ["start: brk #0", *made, ".balign 4"])
    path = tmp_path / "made.vcpu.yaml"
    path.write_text(
        f"title: x\nguest:\n  code: |\n{code}expect:\n  - exits:\n      - debug: {{}}\n"
    )
    assert main(["check", str(path)]) == 4
    told = capsys.readouterr()
    assert "is not supported" in told.err
    assert SECRET.split()[0] not in told.err + told.out
    assert not list(tmp_path.glob("*.json"))
