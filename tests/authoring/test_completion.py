"""What Tab offers, in each shell as that shell asks for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from vcpu_scenario.cli import all_commands
from vcpu_scenario.kernels.release import KNOWN_RELEASES
from vcpu_scenario.vmm.vmms import VMMS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with scenarios and with other things, and the command ``scenario``."""
    for name, tags in {
        "one": "[mmio, vgic]",
        "deep/two": "[mmio, wfi]",
        "deep/three": "[psci]",
    }.items():
        path = tmp_path / f"tests/{name}.vcpu.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"title: t\ntags: {tags}\nguest: {{words: [1]}}\n")
    (tmp_path / "tests/notes.txt").write_text("")
    (tmp_path / "tests/.hidden").mkdir()
    (tmp_path / "broken.vcpu.yaml").write_text("tags: [")
    command = tmp_path / "bin/scenario"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m vcpu_scenario "$@"\n')
    command.chmod(0o755)
    return tmp_path


def asked(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """The command as a shell runs it at a press of Tab."""
    return subprocess.run(
        [str(folder / "bin/scenario")],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def offered(folder: Path, line: str) -> list[str]:
    """What bash is offered at the end of ``line``."""
    words = line.split(" ")
    done = asked(
        folder,
        _SCENARIO_COMPLETE="complete_bash",
        COMP_WORDS="\n".join(words),
        COMP_CWORD=str(len(words) - 1),
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.slow
def test_commands(folder: Path) -> None:
    assert {"run", "check", "new", "fmt", "schema"} <= set(offered(folder, "scenario "))
    assert offered(folder, "scenario che") == ["check"]


@pytest.mark.slow
def test_options(folder: Path) -> None:
    assert "--kernel" in offered(folder, "scenario run --")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run", "list", "explain"])
def test_kernels(command: str, folder: Path) -> None:
    assert offered(folder, f"scenario {command} --kernel ") == [*KNOWN_RELEASES, "latest", "lts"]
    assert offered(folder, f"scenario {command} --kernel 6.1") == [
        name for name in KNOWN_RELEASES if name.startswith("6.1")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run", "list", "explain"])
def test_vmms(command: str, folder: Path) -> None:
    assert offered(folder, f"scenario {command} --vmm ") == list(VMMS)


def test_every_command_completes_what_it_takes() -> None:
    commands = typer.main.get_command(all_commands()).commands  # type: ignore[attr-defined]
    bare = {
        f"{name} {parameter.opts[0]}"
        for name, command in commands.items()
        for parameter in command.params
        if {"--kernel", "--vmm", "--tag", "path", "paths"} & set(parameter.opts)
        and parameter._custom_shell_complete is None
    }
    assert bare == set()


@pytest.mark.slow
def test_a_machine_is_completed_behind_the_colon_at_which_bash_ends_a_word(folder: Path) -> None:
    assert offered(folder, "scenario run --machine lab : 6.1") == ["6.1", "6.12", "6.16", "6.17"]
    assert "5.10" in offered(folder, "scenario run --machine lab :")
    assert offered(folder, "scenario compare --machine emulated : 6.1") == [
        name for name in KNOWN_RELEASES if name.startswith("6.1")
    ]
    assert "lab:5.10" in offered(folder, "scenario run --machine l")
    assert offered(folder, "scenario run --machine kvm --vmm pl") == ["plain"]


def test_a_machine_is_completed_as_a_whole_in_zsh(folder: Path) -> None:
    zsh = asked(
        folder,
        _SCENARIO_COMPLETE="complete_zsh",
        _TYPER_COMPLETE_ARGS="scenario run --machine lab:7",
    )
    assert "7.2" in zsh.stdout


@pytest.mark.slow
def test_tags_are_those_of_the_scenarios_at_hand(folder: Path) -> None:
    assert offered(folder, "scenario run --tag ") == ["mmio", "psci", "vgic", "wfi"]
    assert offered(folder, "scenario run tests/deep --tag ") == ["mmio", "psci", "wfi"]
    assert offered(folder, "scenario run tests/one.vcpu.yaml --tag v") == ["vgic"]


@pytest.mark.slow
def test_paths_are_scenarios_and_folders(folder: Path) -> None:
    assert offered(folder, "scenario check tests/") == ["tests/deep/", "tests/one.vcpu.yaml"]
    assert offered(folder, "scenario check tests/deep/t") == [
        "tests/deep/three.vcpu.yaml",
        "tests/deep/two.vcpu.yaml",
    ]
    assert offered(folder, "scenario check tests/.") == ["tests/.hidden/"]
    assert offered(folder, "scenario check nowhere/") == []


@pytest.mark.slow
def test_a_folder_comes_with_what_is_in_it(folder: Path) -> None:
    """A single offer would end the word, with a blank after it."""
    assert offered(folder, "scenario check te") == [
        "tests/",
        "tests/deep/",
        "tests/one.vcpu.yaml",
    ]
    (folder / "tests/one.vcpu.yaml").unlink()
    shutil.rmtree(folder / "tests/.hidden")
    (folder / "tests/deep/two.vcpu.yaml").unlink()
    assert offered(folder, "scenario check te") == ["tests/deep/three.vcpu.yaml"]


@pytest.mark.slow
def test_templates(folder: Path) -> None:
    assert offered(folder, "scenario new --template m") == ["mmio"]


@pytest.mark.slow
def test_zsh_and_fish_get_the_same_with_explanations(folder: Path) -> None:
    zsh = asked(
        folder,
        _SCENARIO_COMPLETE="complete_zsh",
        _TYPER_COMPLETE_ARGS="scenario new --template m",
    )
    assert '"mmio":"read a register' in zsh.stdout
    fish = asked(
        folder,
        _SCENARIO_COMPLETE="complete_fish",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
        _TYPER_COMPLETE_ARGS="scenario run --vmm q",
    )
    assert fish.stdout.split() == ["qemu", "qemu-7.2", "qemu-2017"]


def test_a_question_that_fails_says_nothing(folder: Path) -> None:
    done = asked(
        folder, _SCENARIO_COMPLETE="complete_bash", COMP_WORDS="scenario run", COMP_CWORD="x"
    )
    assert done.stdout == done.stderr == ""
    assert done.returncode != 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("scenario run --kernel 4.1", "4.14 4.15 4.16 4.17 4.18 4.19"),
        ("scenario fmt tests/o", "tests/one.vcpu.yaml"),
        ("scenario list --tag ps", "psci"),
    ],
)
def test_bash_completes_with_the_script_that_the_command_prints(
    line: str, reply: str, folder: Path
) -> None:
    words = line.split()
    script = (
        'PATH="$PWD/bin:$PATH"; source <(_SCENARIO_COMPLETE=source_bash scenario)\n'
        f"COMP_WORDS=({' '.join(words)}) COMP_CWORD={len(words) - 1}\n"
        "complete -p scenario >/dev/null && _scenario_completion scenario\n"
        'echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout == f"{reply}\n"


@pytest.mark.slow
def test_machines_and_the_kernels_of_labs_are_offered(folder: Path) -> None:
    for command in ("run", "compare", "fuzz", "record", "conform"):
        assert offered(folder, f"scenario {command} --machine ")[:2] == ["emulated", "kvm"]
    assert {"5.10", "6.12"} <= set(offered(folder, "scenario lab fetch "))
    assert offered(folder, "scenario lab path 5.") == ["5.10"]
