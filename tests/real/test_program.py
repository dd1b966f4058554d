"""Programs carried into a lab: what they write, how they end, what is no program."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from vcpu_scenario.machine.real.program import (
    NOT_EXECUTABLE,
    TIMED_OUT,
    Ended,
    Program,
    dump_ended,
    dump_program,
    load_ended,
    load_program,
    run,
)


def script(text: str, folder: Path, *arguments: str, seconds: float = 30) -> Ended:
    program = Program("it", f"#!{sys.executable}\n{text}\n".encode(), arguments, seconds)
    return run(load_program(dump_program(program)), str(folder))


def test_what_a_program_writes_and_how_it_ends_comes_back(tmp_path: Path) -> None:
    text = "import sys; print(sys.argv[1:]); print('no', file=sys.stderr); sys.exit(4)"
    ended = script(text, tmp_path, "a", "b c")
    assert ended.status == 4
    assert sorted(ended.output.splitlines()) == ["['a', 'b c']", "no"]
    assert load_ended(dump_ended(ended)) == ended
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_a_signal_ends_says_which(tmp_path: Path) -> None:
    assert script("import os; os.kill(os.getpid(), 11)", tmp_path).status == 128 + 11


def test_a_program_is_ended_when_its_time_is_up(tmp_path: Path) -> None:
    ended = script("import time; time.sleep(60)", tmp_path, seconds=0.2)
    assert ended == Ended(TIMED_OUT, "\nit: ended after 0.2 s\n")


def test_what_the_kernel_does_not_execute_is_told(tmp_path: Path) -> None:
    ended = run(Program("it", b"\x7fELF no program"), str(tmp_path))
    assert ended == Ended(NOT_EXECUTABLE, "it: not an executable for arm64 Linux\n")


@pytest.mark.parametrize("line", ["[]", "{}", '{"data": "x", "arguments": []}', "no", "1"])
def test_what_is_no_program_and_no_end_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        load_program(line)
    with pytest.raises(ValueError, match=r"."):
        load_ended(line)
