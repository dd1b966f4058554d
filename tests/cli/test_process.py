"""The command as a process of its own: pipes that break, full disks, a closed terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

DATA = Path(__file__).parent / "data"
COMMAND = (sys.executable, "-m", "vcpu_scenario")


def environment(**more: str) -> dict[str, str]:
    plain = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "TERM")}
    return plain | {"PYTHONPATH": str(Path(__file__).parents[2] / "runner")} | more


def shell(script: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs ``script`` with bash, ``$S`` being the command."""
    return subprocess.run(
        ["bash", "-c", script],
        cwd=DATA,
        env=environment(S=" ".join(COMMAND), **env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_run_passes_on_its_status() -> None:
    assert shell("$S run step --kernel 6.12").returncode == 0
    assert shell("$S run wrong --kernel 6.12").returncode == 1


def test_a_process_that_is_forked_has_no_threads() -> None:
    """Python warns of that from 3.12 on; a fork would copy the locks that a thread holds."""
    assert (
        shell(
            "$W run step --kernel 6.12 -j 2", W=f"{sys.executable} -W error -m vcpu_scenario"
        ).returncode
        == 0
    )


@pytest.mark.parametrize("command", ["run wrong", "list step", "kernels", "explain step"])
def test_a_reader_that_leaves_early_is_no_fault(command: str) -> None:
    done = shell(f"$S {command} | true; echo ${{PIPESTATUS[0]}}")
    assert done.stdout == f"{1 if command == 'run wrong' else 0}\n"
    assert "Broken" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_told() -> None:
    done = shell("$S list step > /dev/full")
    assert done.returncode == 3
    assert done.stderr == ("scenario: cannot write to standard output: No space left on device\n")
    done = shell("$S run step --kernel 6.12 --output /dev/full")
    assert done.returncode == 3
    assert done.stderr == "scenario: cannot write /dev/full: No space left on device\n"


def test_a_process_without_standard_streams_still_has_a_status() -> None:
    assert shell("$S run wrong --kernel 6.12 >&- 2>&-").returncode == 1


def test_what_an_encoding_lacks_is_escaped() -> None:
    done = shell("$S explain step --vmm plain", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "\\u2502" in done.stdout


def test_a_name_that_is_not_utf_8_can_be_reported(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.vcpu.yaml"
    with open(name, "w") as file:
        file.write("title: t\nguest: {words: [0xd503201f]}\nexpect: [{exits: []}]\n")
    done = shell(f"$S run {tmp_path} --kernel 6.12")
    assert done.returncode == 1
    assert "\\udcff" in done.stdout


def test_a_terminal_gets_colours_unless_they_are_not_wanted() -> None:
    assert b"\x1b[" in on_a_terminal(TERM="xterm")
    assert b"\x1b[" not in on_a_terminal(TERM="xterm", NO_COLOR="1")
    assert b"\x1b[" not in on_a_terminal(TERM="dumb")


def on_a_terminal(**env: str) -> bytes:
    ours, theirs = pty.openpty()
    command = [*COMMAND, "run", "step", "--kernel", "6.12"]
    with subprocess.Popen(command, cwd=DATA, env=environment(**env), stdout=theirs) as process:
        os.close(theirs)
        out = b""
        while True:
            try:
                read = os.read(ours, 4096)
            except OSError:  # the terminal's other end is closed
                break
            if not read:
                break
            out += read
        assert process.wait(60) == 0
    os.close(ours)
    return out


IN_THE_COMMAND_THAT_NEEDS_THEM = frozenset(
    [
        "capstone",
        "elftools",
        "jsonschema",
        "lsprotocol",
        "pygls",
        "rich",
        "tarfile",
        "tomllib",
        "urllib.request",
        "vcpu_scenario.analysis",
        "vcpu_scenario.api",
        "vcpu_scenario.assembly.assemblers",
        "vcpu_scenario.authoring",
        "vcpu_scenario.debugger",
        "vcpu_scenario.export",
        "vcpu_scenario.field",
        "vcpu_scenario.interchange",
        "vcpu_scenario.lsp",
        "vcpu_scenario.machine.emulated.kvm.its",
        "vcpu_scenario.machine.emulated.vgic.its",
        "vcpu_scenario.machine.real.lab",
        "vcpu_scenario.machine.real.machine",
        "vcpu_scenario.recordings",
        "vcpu_scenario.report.html",
        "vcpu_scenario.report.junit",
        "vcpu_scenario.survey",
        "vcpu_scenario.vmm.stepping",
        "xml",
    ]
)
FOR_LISTING = frozenset({"unicorn", "vcpu_scenario.machine.emulated", "vcpu_scenario.report"})
FOR_HELP = frozenset({"yaml", "vcpu_scenario.language.schema", "vcpu_scenario.running"})


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        ("run step --kernel 6.12", IN_THE_COMMAND_THAT_NEEDS_THEM),
        ("list step", IN_THE_COMMAND_THAT_NEEDS_THEM | FOR_LISTING),
        ("--help", IN_THE_COMMAND_THAT_NEEDS_THEM | FOR_LISTING | FOR_HELP),
    ],
)
def test_a_command_starts_without_what_only_others_need(
    command: str, unwanted: frozenset[str]
) -> None:
    script = (
        "import sys, typer, vcpu_scenario.cli; before = set(sys.modules);"
        f"vcpu_scenario.cli.main({command.split()!r});"
        f"print(sorted({set(unwanted)!r} & (set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=DATA,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
