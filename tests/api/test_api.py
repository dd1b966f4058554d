"""Loading and running from Python: what the command line does, as functions."""

from __future__ import annotations

import os
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest
from vcpu_scenario.api import InvalidScenario, UsageError, dumps, failure_text, load, loads, run
from vcpu_scenario.cli import main
from vcpu_scenario.machine.emulated.machine import EmulatedMachine, create
from vcpu_scenario.machine.errors import Unsupported

BREAKPOINT: dict[str, Any] = {
    "title": "a breakpoint",
    "tags": ["brk"],
    "guest": {"at": 0x40000000, "words": [0xD503201F, 0xD42000E0]},
    "debug": {"software_breakpoints": True},
    "expect": [{"exits": [{"debug": {"brk": 0x40000004, "imm": 7}}]}],
}
WRONG = BREAKPOINT | {"expect": [{"exits": [{"debug": {"brk": 0x40000004, "imm": 8}}]}]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "right.vcpu.yaml").write_text(dumps(BREAKPOINT))
    (tmp_path / "sub" / "wrong.vcpu.yaml").write_text(dumps(WRONG | {"tags": ["mistaken"]}))
    return tmp_path


@pytest.mark.slow
def test_ids_are_those_of_the_command_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["list", "."])
    listed = capsys.readouterr().out.split()
    assert [result.case.id for result in run(".")] == listed
    assert [case.id for case in load("sub/wrong.vcpu.yaml").cases()] == listed[len(listed) // 2 :]


def test_a_file_a_folder_a_scenario_and_a_case_run_alike(folder: Path) -> None:
    path = Path("right.vcpu.yaml")
    scenario = load(path)
    (case,) = scenario.cases(["6.12"])
    one = run(path, "6.12")
    assert [result.verdict for result in one] == ["pass"]
    for what in (str(path), scenario, case, [case], [scenario], iter([path])):
        assert [result.case.id for result in run(what, "6.12")] == [case.id]
    both = [result.case.id for result in run(folder, "6.12")]
    assert both == ["right@6.12/plain", "sub/wrong@6.12/plain"]


def test_a_case_is_run_as_it_is(folder: Path) -> None:
    (case,) = load("right.vcpu.yaml").cases(["6.12"])
    (result,) = run(case, kernels="5.10", keyword="nothing has this name")
    assert result.case is case


@pytest.mark.parametrize(
    ("selection", "ids"),
    [
        ({"kernels": ["6.12", "5.10"]}, ["right@6.12/plain", "right@5.10/plain"]),
        ({"kernels": ">=7.2"}, ["right@7.2/plain", "right@7.3/plain"]),
        (
            {"kernels": ">=6.19", "keyword": "7. and not 7.2"},
            ["right@7.1/plain", "right@7.3/plain"],
        ),
        ({"kernels": "6.12", "vmms": "plain"}, ["right@6.12/plain"]),
        ({"kernels": "6.12", "vmms": ["qemu"]}, []),
        ({"kernels": "6.12", "tags": ["brk", "other"]}, ["right@6.12/plain"]),
        ({"kernels": "6.12", "tags": ["other"]}, []),
    ],
)
def test_what_selects_on_the_command_line_selects_here(
    selection: dict[str, Any], ids: list[str], folder: Path
) -> None:
    assert [result.case.id for result in run("right.vcpu.yaml", **selection)] == ids


@pytest.mark.parametrize(
    "call",
    [
        {"what": "no-such-file.vcpu.yaml"},
        {"what": ".", "kernels": "nonsense"},
        {"what": ".", "vmms": "no-such-vmm"},
        {"what": ".", "keyword": "and and"},
    ],
)
def test_what_is_a_usage_error_there_is_one_here(call: dict[str, Any], folder: Path) -> None:
    with pytest.raises(UsageError):
        run(**call)
    assert issubclass(UsageError, ValueError)


def test_everything_wrong_with_all_files_is_told_at_once(folder: Path) -> None:
    (folder / "a.vcpu.yaml").write_text("title: 1\n")
    (folder / "b.vcpu.yaml").write_text("titel: none\n")
    with pytest.raises(InvalidScenario) as caught:
        run(folder)
    files = {os.path.basename(found.span.file) for found in caught.value.diagnostics}
    assert files == {"a.vcpu.yaml", "b.vcpu.yaml"}


def test_a_missing_file_cannot_be_loaded(folder: Path) -> None:
    with pytest.raises(InvalidScenario, match="cannot read the scenario"):
        load("no-such-file.vcpu.yaml")


def test_the_machine_is_made_for_the_kernel_of_each_case(folder: Path) -> None:
    made = []

    def machine(kernel: str) -> EmulatedMachine:
        made.append(kernel)
        return create(kernel)

    run("right.vcpu.yaml", ["6.12", "5.10"], machine=machine)
    assert made == ["6.12", "5.10"]


def test_what_a_machine_cannot_do_is_skipped(folder: Path) -> None:
    def machine(kernel: str) -> EmulatedMachine:
        raise Unsupported(f"no {kernel} here")

    (result,) = run("right.vcpu.yaml", "6.12", machine=machine)
    assert (result.verdict, result.reason) == ("skip", "no 6.12 here")


def test_failures_read_as_on_the_command_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = failure_text(*run(".", kernels=">=7.2"))
    main(["run", ".", "--kernel", ">=7.2"])
    printed = capsys.readouterr().out
    assert text.startswith("a breakpoint\nsub/wrong@7.2/plain and on 7.3\n")
    assert "sub/wrong.vcpu.yaml:" in text
    assert f"\n{text}" in printed


def test_of_an_error_the_case_and_the_reason_are_told(folder: Path) -> None:
    def machine(kernel: str) -> EmulatedMachine:
        raise RuntimeError("no more machines")

    text = failure_text(*run("right.vcpu.yaml", "6.12", machine=machine))
    assert text == "right@6.12/plain\nthe runner failed: RuntimeError: no more machines\n"


def test_nothing_is_wrong_with_what_passes(folder: Path) -> None:
    assert failure_text(*run("right.vcpu.yaml")) == ""


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "true",
        "No",
        "0o17",
        "1e3",
        "a: b",
        "- a",
        "",
        " ",
        "#",
        "two\nlines\n",
        "two\nlines",
        "trailing \nblank",
        "\n",
        "  indented\nless",
        "ünïcode",
        "\x85",
        "\t",
        "'",
        '"',
        "~",
        "{}",
        "5.10",
    ],
)
def test_a_string_is_read_as_the_string_it_was(text: str) -> None:
    assert loads(dumps(BREAKPOINT | {"about": text})).about == text


class Number(IntEnum):
    KVM_EXIT_DEBUG = 4


def test_numbers_keep_their_values() -> None:
    guest = {"at": 0x40000000, "words": [Number.KVM_EXIT_DEBUG, 0xD42000E0]}
    registers = {"registers": {"x1": 0xFFFFFFFFFFFFFFFF}}
    scenario = loads(dumps(BREAKPOINT | {"guest": guest | registers}))
    case = scenario.combinations[0].case
    assert case.loads[0].data[:4] == bytes([4, 0, 0, 0])
    assert ("x1", 0xFFFFFFFFFFFFFFFF) in case.regs


def test_the_order_of_keys_is_kept() -> None:
    assert dumps({"title": 1, "about": 2, "at": 3}) == "title: 1\nabout: 2\nat: 3\n"


def test_what_is_shared_is_written_twice() -> None:
    shared = {"a": [1]}
    assert "&" not in dumps({"one": shared, "other": shared})


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object()])
def test_what_yaml_has_no_type_for_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="a scenario holds no"):
        dumps({"title": value})


def test_what_holds_itself_is_refused() -> None:
    circle: dict[str, Any] = {}
    circle["self"] = circle
    with pytest.raises(ValueError, match="holds itself"):
        dumps(circle)
