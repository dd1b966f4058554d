"""Scenarios to export, and the tools that exported programs are compiled with."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from vcpu_scenario.export.c import VMMS, program
from vcpu_scenario.export.subject import Subject, subjects
from vcpu_scenario.language import load, loads
from vcpu_scenario.language.model import Scenario

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "scenarios").rglob("*.vcpu.yaml"))
EVERYTHING = Path(__file__).parent / "data" / "everything.vcpu.yaml"
"""A scenario with what the shipped ones have not: every kind of device, of final state."""

COMPILER = "aarch64-linux-gnu-gcc"


@cache
def shipped(path: Path) -> tuple[Subject, ...]:
    """Those of a VMM that there is in C."""
    every = subjects(load(path, ROOT / "scenarios"), ())
    return tuple(subject for subject in every if subject.vmm in VMMS)


def scenario(text: str, folder: Path) -> Scenario:
    path = folder / "case.vcpu.yaml"
    path.write_text(text)
    return loads(text, path)


def only(text: str, folder: Path, *kernels: str) -> Subject:
    (subject,) = subjects(scenario(text, folder), kernels)
    return subject


@pytest.fixture(scope="session")
def compiler() -> str:
    if shutil.which(COMPILER) is None:
        pytest.skip(f"{COMPILER} is not installed: apt install gcc-{COMPILER[:-4]} and libc for it")
    return COMPILER


def compiled(subject: Subject, compiler: str, folder: Path) -> bytes:
    """The program of ``subject``; a warning fails."""
    source, out = folder / "program.c", folder / "program"
    source.write_text(program(subject))
    flags = ("-Wall", "-Wextra", "-Werror", "-O2", "-static", "-s")
    subprocess.run([compiler, *flags, "-o", str(out), str(source)], check=True)
    return out.read_bytes()
