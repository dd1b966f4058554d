"""Which assembler is taken, and what is said where there is none."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from vcpu_scenario.assembly import assemblers, process
from vcpu_scenario.assembly.assemble import AssemblerError, NoAssembler, assemble, assemble_with
from vcpu_scenario.assembly.assemblers import Assembler, choose, installed
from vcpu_scenario.language import loads
from vcpu_scenario.source import InvalidScenario


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any assembler; the result is its only folder of programs."""
    monkeypatch.delenv(assemblers.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    return tmp_path


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_without_any_assembler_it_says_what_to_install(bare: Path) -> None:
    with pytest.raises(NoAssembler) as raised:
        assemble("nop", 0)
    for way in ("apt install binutils-aarch64-linux-gnu", "clang", "vcpu-scenario[assembler]"):
        assert way in str(raised.value)
    assert installed() == []


def test_the_variable_names_the_assembler(
    assembler: Assembler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(assemblers.VARIABLE, assembler.name)
    assert choose() == assembler


def test_the_variable_must_name_one_that_there_is(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(assemblers.VARIABLE, "nasm")
    with pytest.raises(NoAssembler, match="nasm is not one of gnu, native, clang, ziglang"):
        choose()
    monkeypatch.setenv(assemblers.VARIABLE, "clang")
    with pytest.raises(NoAssembler, match="clang, which is not installed: install one"):
        choose()


def test_the_first_of_the_order_is_taken(bare: Path) -> None:
    program(bare / "clang-17", "exit 1")
    assert choose().name == "clang"
    program(bare / "aarch64-none-elf-as", "exit 1")
    assert choose().name == "gnu"


def test_the_native_one_is_for_arm64_linux_alone(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(bare / "as", "exit 1")
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert installed() == []
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert choose().name == "native"


def test_the_native_one_assembles_as_the_cross_one_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cross = shutil.which("aarch64-linux-gnu-as")
    if cross is None:
        pytest.skip("GNU binutils for AArch64 are not installed: nothing to stand for `as`")
    (tmp_path / "as").symlink_to(cross)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(assemblers.VARIABLE, "native")
    assert assemble("nop\nldr x0, =0x12345\n", 0).code[:4] == bytes.fromhex("1f2003d5")


def test_an_assembler_that_fails_without_a_word_is_an_error(bare: Path) -> None:
    program(bare / "clang", "echo it burns >&2; exit 3")
    with pytest.raises(AssemblerError, match=r"clang failed \(3\): it burns"):
        assemble("nop // for this failure alone", 0)


def test_one_that_does_not_end_is_given_up(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sleep = shutil.which("sleep", path="/bin:/usr/bin")
    program(bare / "clang", f"exec {sleep} 60")
    monkeypatch.setattr(process, "SECONDS", 0.2)
    with pytest.raises(AssemblerError, match="did not finish"):
        assemble("nop // for this endlessness alone", 0)


MATRIX = f"""\
title: t
matrix: {{imm: {list(range(40))}}}
guest: {{code: 'brk #${{imm}}'}}
expect: [{{exits: []}}]
"""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[process.Call]:
    """The calls of assemblers."""
    made: list[process.Call] = []

    class Counted(process.Call):
        def __init__(self, command: Sequence[str], text: str) -> None:
            super().__init__(command, text)
            made.append(self)

    monkeypatch.setattr(process, "Call", Counted)
    return made


def test_once_it_is_given_up_no_other_code_of_a_matrix_takes_as_long(
    bare: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, calls: list[process.Call]
) -> None:
    sleep = shutil.which("sleep", path="/bin:/usr/bin")
    program(bare / "clang", f"exec {sleep} 60")
    monkeypatch.setattr(process, "SECONDS", 0.2)
    with pytest.raises(InvalidScenario) as invalid:
        loads(MATRIX, tmp_path / "t.vcpu.yaml")
    assert "did not finish" in invalid.value.diagnostics[0].message
    assert len(calls) == 2
    assert [call.ended for call in calls] == [True, True]


def test_codes_of_a_matrix_are_assembled_one_beside_the_other(
    bare: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, calls: list[process.Call]
) -> None:
    sleep = shutil.which("sleep", path="/bin:/usr/bin")
    begun = tmp_path / "begun"
    alone = f'[ "$(echo {begun}-*)" = "{begun}-$$" ]'
    program(bare / "clang", f": >{begun}-$$; while {alone}; do {sleep} 0.01; done; exit 1")
    monkeypatch.setattr(process, "SECONDS", 5)
    with pytest.raises(InvalidScenario) as invalid:
        loads(MATRIX, tmp_path / "t.vcpu.yaml")
    assert "did not finish" not in str(invalid.value)
    assert len(calls) >= 40  # each for itself, though none gives any code
    assert all(call.ended for call in calls)


def test_an_llvm_too_old_for_the_newest_architecture_is_asked_for_an_older(bare: Path) -> None:
    """Each generation of LLVM knows other architectures; the words do not depend on it."""
    program(
        bare / "clang",
        'case "$*" in *armv8.4-a*) echo "<stdin>:2:3: error: understood" >&2;;'
        " *) echo \"error: the clang compiler does not support '-march=x'\" >&2;; esac; exit 1",
    )
    with pytest.raises(AssemblerError, match="1:3: understood"):
        assemble("nop // for an old LLVM", 0)


def test_one_that_knows_no_architecture_is_too_old(bare: Path) -> None:
    program(bare / "clang", "echo \"error: unknown argument: '-march=x'\" >&2; exit 1")
    with pytest.raises(NoAssembler, match="too old"):
        assemble_with(choose(), "nop // for a very old LLVM", 0)


def test_one_that_cannot_be_started_is_no_assembler(tmp_path: Path) -> None:
    broken = tmp_path / "as"
    broken.write_bytes(b"\x7fELF nonsense")
    broken.chmod(0o755)
    gone = Assembler("gnu", (str(broken),), ("all",), lambda complaint: iter(()))
    with pytest.raises(NoAssembler, match="cannot be run"):
        assemble_with(gone, "nop", 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "instruction",
    [
        "ldadd x0, x1, [x2]",
        "pacia x0, x1",
        "ldapr x0, [x1]",
        "ldapur x0, [x1]",
        "bti c",
        "sb",
        "irg x0, x1",
        "ptrue p0.b",
        "fadd h0, h1, h2",
        "mrs x0, icc_pmr_el1",
        "mrs x0, pmscr_el1",
        "mrs x0, trblimitr_el1",
        "msr pan, #1",
        "wfet x0",
        "ld64b x0, [x1]",
        "udf #7",
        "mrs x0, S3_6_C15_C2_1",
    ],
)
def test_instructions_of_every_extension_are_known(assembler: Assembler, instruction: str) -> None:
    assert len(assemble_with(assembler, instruction, 0).code) == 4
