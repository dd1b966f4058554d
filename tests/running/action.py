"""Runs the steps of ``action.yml`` as GitHub would: ``python -m tests.running.action NAME=VALUE``.

Inputs have their defaults, expressions their values, each script a bash of its own, and outputs and
the summary are files that the environment names. Steps with ``uses`` are GitHub's and are left out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
ACTION: Final = ROOT / "action.yml"
_EXPRESSION: Final = re.compile(r"\$\{\{ *([\w.-]+) *\}\}")


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a job with the action as its only step."""

    status: int
    log: str
    outputs: Mapping[str, str]
    summary: str


def document() -> dict[str, Any]:
    """The action as its file has it."""
    found: dict[str, Any] = yaml.safe_load(ACTION.read_text())
    return found


def run(workspace: Path, temp: Path, inputs: Mapping[str, str]) -> Done:
    """Runs the steps in ``workspace``, up to the first that fails; ``temp`` is the runner's."""
    action = document()
    unknown = inputs.keys() - action["inputs"].keys()
    if unknown:
        raise KeyError(f"the action has no input {', '.join(sorted(unknown))}")
    values = {f"inputs.{name}": each["default"] for name, each in action["inputs"].items()}
    values |= {f"inputs.{name}": value for name, value in inputs.items()}
    summary = temp / "summary"
    summary.touch()
    status, log = 0, ""
    for number, step in enumerate(step for step in action["runs"]["steps"] if "run" in step):
        output = temp / f"output-{number}"
        output.touch()
        told = {
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_WORKSPACE": str(workspace),
            "RUNNER_TEMP": str(temp),
        }
        given = {name: _filled(text, values) for name, text in step["env"].items()}
        folder = workspace / _filled(step.get("working-directory", "."), values)
        # So a composite action's `shell: bash` is defined.
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=folder,
            env={**os.environ, **told, **given},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        status, log = done.returncode, log + done.stdout
        name = step.get("id", "")
        values |= {f"steps.{name}.outputs.{k}": v for k, v in outputs_in(output).items()}
        if status:
            break
    outputs = {name: _filled(each["value"], values) for name, each in action["outputs"].items()}
    return Done(status, log, outputs, summary.read_text())


def outputs_in(file: Path) -> dict[str, str]:
    """What a step has said with ``echo name=value``."""
    lines = file.read_text().splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _EXPRESSION.sub(lambda found: values.get(found[1], ""), text)


def main(arguments: list[str]) -> int:
    """Runs the action in the current folder; prints what it says and its outputs."""
    inputs = {name: value for name, _, value in (each.partition("=") for each in arguments)}
    with tempfile.TemporaryDirectory() as temp:
        done = run(Path.cwd(), Path(temp), inputs)
    print(done.log, end="")
    for name, value in done.outputs.items():
        print(f"{name}: {value}")
    return done.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
