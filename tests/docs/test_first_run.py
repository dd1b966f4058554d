"""What the README shows is what its commands print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def test_the_first_run_looks_as_shown() -> None:
    text = (ROOT / "README.md").read_text()
    shown = text.split("$ ./setup.sh\n")[1].split("```")[0].splitlines()
    command = [sys.executable, "-m", "vcpu_scenario", "run", "scenarios/"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    came = done.stdout.splitlines()
    cut = shown.index("...")
    assert came[:cut] == shown[:cut]
    assert came[-3:-1] == shown[cut + 1 : -1]
    assert _count(came[-1]) == _count(shown[-1])


def _count(line: str) -> str:
    found = re.search(r"\d+ passed", line)
    assert found
    return found.group()
