"""The page on debuggers, followed as its reader would: with the real gdb, command by command."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from vcpu_scenario.cli import main

from tests.debugger.person import Person, Typed, typed
from tests.docs.follow import agrees

PAGE: Final = Path(__file__).parents[2] / "docs" / "debugger.md"
TEXT: Final = PAGE.read_text()
PROMPT: Final = "(gdb) "

needs_gdb = pytest.mark.skipif(
    shutil.which("gdb-multiarch") is None, reason="gdb-multiarch is not installed"
)


def blocks(kind: str) -> list[str]:
    return re.findall(rf"(?ms)^```{kind}\n(.*?)^```$", TEXT)


def sessions() -> Iterator[tuple[str, list[Typed]]]:
    """Each session's command with what is typed in it; one goes on in the next block."""
    command, done = "", list[Typed]()
    for block in blocks("console"):
        if block.startswith("$ scenario stops"):
            continue
        if block.startswith("$ "):
            if command:
                yield command, done
            first, _, block = block.removeprefix("$ ").partition("\n")
            command, done = first, []
            done.append(Typed("", block.partition(PROMPT)[0].rstrip("\n")))
            block = PROMPT + block.partition(PROMPT)[2]
        done += typed(block, PROMPT)
    yield command, done


@needs_gdb
@pytest.mark.slow
@pytest.mark.parametrize("command", [command for command, _ in sessions()])
def test_gdb_shows_what_the_page_shows(command: str, tmp_path: Path) -> None:
    shown = dict(sessions())[command]
    (tmp_path / "uart.vcpu.yaml").write_text(blocks("yaml")[0])
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {"PATH": path, "HOME": str(tmp_path), "GDB": "gdb-multiarch", "LC_ALL": "C.UTF-8"}
    with Person(shlex.split(command), PROMPT, tmp_path, env) as person:
        for each in shown:
            waits = "^C" in each.shown
            came = person.type(each.command, interrupts=waits) if each.command else person.read()
            assert agrees(each.shown, came.rstrip("\n")), f"{each.command}: {came}"
        assert person.end() == 0


def test_the_table_of_stops_is_what_the_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("uart.vcpu.yaml").write_text(blocks("yaml")[0])
    (block,) = (each for each in blocks("console") if each.startswith("$ scenario stops"))
    first, _, shown = block.partition("\n")
    assert main(shlex.split(first)[2:]) == 0
    assert capsys.readouterr().out == shown


def test_every_vmm_is_in_the_table() -> None:
    from vcpu_scenario.vmm.vmms import VMMS

    assert re.findall(r"(?m)^\| `([a-z][a-z0-9.-]+)` \|", TEXT) == list(VMMS)
