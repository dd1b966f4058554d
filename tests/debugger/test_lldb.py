"""lldb sees the skip as well."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "first.vcpu.yaml"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("lldb") is None, reason="lldb is not installed")
@pytest.mark.parametrize(("kernel", "behind"), [("5.10", "load + 8"), ("6.12", "load + 4")])
def test_a_step_over_the_load_lands_where_gdb_s_does(
    kernel: str, behind: str, tmp_path: Path
) -> None:
    path, elf = tmp_path / "socket", tmp_path / "guest.elf"
    scenario = Path(sys.executable).parent / "scenario"
    server = subprocess.Popen(
        [scenario, "debug", EXAMPLE, "--kernel", kernel, "--socket", path, "--elf", elf],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stderr is not None
        assert "may come to" in server.stderr.readline()
        commands = (
            f"process connect unix-connect://{path}",
            "breakpoint set -n load",
            "continue",
            "thread step-inst",
            "register read pc",
            "kill",
        )
        done = subprocess.run(
            ["lldb", "-b", "-x", elf, *(part for each in commands for part in ("-o", each))],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert f"`{behind}" in done.stdout, done.stdout + done.stderr
    finally:
        server.terminate()
        server.wait(20)
        if server.stderr is not None:
            server.stderr.close()
