"""``scenario import``: drafts, comparisons, and what is said of files that are no traces."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
import yaml

from tests.commandline import Scenario, in_folder
from tests.field.recorded import ROOT, texts

STEP = str(ROOT / "docs/mail/skipped-step.vcpu.yaml")


@pytest.fixture
def scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Scenario:
    for kernel in ("7.2",):
        text = texts(kernel)["ftrace"][f"docs/mail/skipped-step@{kernel}/plain"]
        (tmp_path / f"{kernel}.txt").write_text(text)
    return in_folder(tmp_path, monkeypatch, capsys)


def test_a_trace_agrees_with_the_model_of_its_kernel(scenario: Scenario) -> None:
    outcome = scenario("import", "7.2.txt", STEP, "--kernel", "7.2")
    assert outcome.status == 0
    assert outcome.out.splitlines()[1] == "no difference on 7.2"


def test_it_says_where_a_trace_and_the_model_of_another_kernel_part(scenario: Scenario) -> None:
    outcome = scenario("import", "7.2.txt", STEP, "--kernel", "5.10")
    assert outcome.status == 1
    said = outcome.out.splitlines()
    assert said[2] == "differs on 5.10"
    assert said[3].endswith("missing: debug exit, step at next")
    assert said[3].startswith("7.2.txt:")
    assert "= exit 2 came next: debug exit, step at done" in outcome.out
    assert "guest: next (0x40000008) `add x2, x2, #1`" in outcome.out


def test_without_a_kernel_it_says_on_which_the_trace_is_as_the_model(scenario: Scenario) -> None:
    outcome = scenario("import", "7.2.txt", STEP)
    assert outcome.status == 0
    assert outcome.out.splitlines()[1] == "no difference on >=5.11"
    assert "differs on <5.11" in outcome.out


def test_each_kernel_that_is_named_has_to_agree(scenario: Scenario) -> None:
    for kernels, status in ((("6.12", "7.2"), 0), (("5.10", "7.2"), 1), ((">=5.0",), 0)):
        named = (text for kernel in kernels for text in ("--kernel", kernel))
        assert scenario("import", "7.2.txt", STEP, *named).status == status


def test_a_trace_that_ends_early_is_no_success(scenario: Scenario, tmp_path: Path) -> None:
    lines = (tmp_path / "7.2.txt").read_text().splitlines(keepends=True)
    exits = [n for n, text in enumerate(lines, start=1) if "kvm_userspace_exit" in text]
    (tmp_path / "early.txt").write_text("".join(lines[: exits[1]]))
    outcome = scenario("import", "early.txt", STEP, "--kernel", "7.2")
    assert outcome.status == 1
    assert outcome.out.splitlines()[1] == "ends early on 7.2: no difference in 2 exits of 5"


def test_a_trace_is_read_from_a_pipe(scenario: Scenario, tmp_path: Path) -> None:
    text = (tmp_path / "7.2.txt").read_text()
    for name in ("-", "/dev/stdin"):
        outcome = subprocess.run(
            (sys.executable, "-m", "vcpu_scenario", "import", name, STEP, "--kernel", "5.10"),
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert outcome.returncode == 1
        assert "kvm_userspace_exit: reason KVM_EXIT_DEBUG" in outcome.stdout  # the line is shown


def test_a_pipe_without_an_end_is_refused() -> None:
    with Popen(("cat", "/dev/zero"), stdout=PIPE) as endless:
        outcome = subprocess.run(
            (sys.executable, "-m", "vcpu_scenario", "import", "-"),
            stdin=endless.stdout,
            capture_output=True,
            text=True,
            check=False,
        )
        endless.kill()
    assert outcome.returncode == 4
    assert "there is room for" in outcome.stderr


def test_a_draft_is_a_scenario_of_what_was_seen(scenario: Scenario, tmp_path: Path) -> None:
    assert scenario("import", "7.2.txt", "--output", "draft.vcpu.yaml").status == 0
    assert scenario("check", "draft.vcpu.yaml").status == 0
    text = (tmp_path / "draft.vcpu.yaml").read_text()
    for line in (
        "- debug: {step: 0x40000004}",
        "- mmio: {read: 0x9000018, len: 4, reply: 0x90}",
        "- debug: {step: 0x40000008}",
        "- debug: {brk: 0x4000000c}",
    ):
        assert line in text


def test_the_name_of_a_trace_is_no_command_of_a_ci_log(scenario: Scenario, tmp_path: Path) -> None:
    (tmp_path / "7.2.txt").rename(tmp_path / "##[error]x.txt")
    out = scenario("import", "##[error]x.txt").out
    assert "##[" not in out
    assert yaml.safe_load(out)["title"] == "imported from ##[error]x.txt"


def test_a_file_that_is_no_trace_is_an_error_with_its_place(
    scenario: Scenario, tmp_path: Path
) -> None:
    (tmp_path / "no.txt").write_text("nothing\n")
    outcome = scenario("import", "no.txt")
    assert (outcome.status, outcome.out) == (4, "")
    assert outcome.err.startswith("no.txt:1:1: error: no trace of KVM\n")
    assert scenario("import", "none.txt").status == 4
    assert scenario("import", "7.2.txt", "none.vcpu.yaml").status == 4
    assert scenario("import", "7.2.txt", "--kernel", "frobnicate").status == 4


def test_a_strace_without_names_says_what_was_compared(scenario: Scenario, tmp_path: Path) -> None:
    name = "scenarios/thread/pl011-write-step"
    text = texts("6.12")["strace"][f"{name}@6.12/plain"]
    (tmp_path / "named.txt").write_text(text)
    (tmp_path / "bare.txt").write_text(re.sub(r" \(KVM_EXIT_\w+\)", "", text))
    against = [str(ROOT / f"{name}.vcpu.yaml"), "--kernel", "5.10", "--kernel", "6.12"]
    named, bare = (scenario("import", f"{each}.txt", *against) for each in ("named", "bare"))
    assert named.out.splitlines()[1] == "no difference on 6.12"
    assert "not shown (`strace -e kvm=vcpu`)" in bare.out.splitlines()[1]
    assert bare.out.splitlines()[2] == "no difference on 6.12"
