"""docs/linux.md and docs/firmware.md: the scenario is a shipped one, and the commands print what is
shown."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from vcpu_scenario.machine.real.errors import LabError
from vcpu_scenario.machine.real.lab import list_kernels, packages

from .follow import Shell, Step, agrees, steps
from .markdown import fences

ROOT = Path(__file__).parents[2]
PAGES = {
    "linux": "guests/linux/stepping-a-booting-kernel.vcpu.yaml",
    "firmware": "guests/u-boot/a-command-at-its-prompt.vcpu.yaml",
}
TEXTS = {page: (ROOT / f"docs/{page}.md").read_text(encoding="utf-8") for page in PAGES}
TYPED = [
    step
    for text in TEXTS.values()
    for block in fences(text)
    if block.kind == "console"
    for step in steps(block.content)
]
IN_LAB = [step for step in TYPED if "lab:" in step.command]
HERE = [step for step in TYPED if step not in IN_LAB and "fetch" not in step.command]
KEPT = {entry.name for entry in list_kernels() if entry.kept is not None}


def is_kept(package: str) -> bool:
    try:
        return bool(packages.path(package))
    except LabError:
        return False


FIRMWARE = all(map(is_kept, ("u-boot-qemu", "grub-efi-arm64-unsigned", "qemu-efi-aarch64")))


def check(step: Step) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with Shell(ROOT, {**os.environ, "PATH": path, "COLUMNS": "100"}) as shell:
        printed, _ = shell.type(step.command)
    assert agrees(step.shown, printed), printed


@pytest.mark.parametrize("page", PAGES)
def test_the_scenario_on_the_page_is_the_shipped_one(page: str) -> None:
    (shown,) = [block.content for block in fences(TEXTS[page]) if block.kind == "yaml"]
    scenario = (ROOT / PAGES[page]).read_text(encoding="utf-8")
    assert shown.removesuffix("...\n") in scenario


def test_the_pages_show_both_sides() -> None:
    assert len(HERE) == 6
    assert len(IN_LAB) == 6


@pytest.mark.slow
@pytest.mark.skipif("6.12" not in KEPT, reason="NO GUEST KERNEL: scenario lab fetch 6.12")
@pytest.mark.skipif(not FIRMWARE, reason="NO GUEST: scenario lab fetch, as docs/firmware.md says")
@pytest.mark.parametrize("step", HERE, ids=lambda step: step.command)
def test_the_commands_print_what_the_page_shows(step: Step) -> None:
    check(step)


@pytest.mark.slow
@pytest.mark.skipif(not {"5.10", "6.12"} <= KEPT, reason="NO LAB: it takes 5.10 and 6.12")
@pytest.mark.skipif(shutil.which("qemu-system-aarch64") is None, reason="NO LAB: it takes QEMU")
@pytest.mark.skipif(not FIRMWARE, reason="NO GUEST: scenario lab fetch, as docs/firmware.md says")
@pytest.mark.parametrize("step", IN_LAB, ids=lambda step: step.command)
def test_real_kernels_give_the_same_exits(step: Step) -> None:
    check(step)
