"""The table of stops: kernels down, VMMs across."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from msgspec.structs import replace
from vcpu_scenario.analysis.stops import Table, emulated, tables
from vcpu_scenario.api import load
from vcpu_scenario.cli import main
from vcpu_scenario.course import Course, End
from vcpu_scenario.language.model import ScenarioCase
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.report.stops import document, text
from vcpu_scenario.report.stops_html import page
from vcpu_scenario.report.styled import coloured, plain
from vcpu_scenario.vmm.vmms import VMMS

Golden = Callable[[str, str], None]


def cases(*kernels: str) -> list[ScenarioCase]:
    return load("mixed/load.vcpu.yaml").cases(kernels, ["plain"])


def found(*kernels: str, vmms: tuple[str, ...] = tuple(VMMS)) -> list[Table]:
    return tables(cases(*kernels), vmms)


KERNELS = ("5.0", "5.10", "5.12", "6.12", "7.2")


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("stops.txt", lambda each: plain(text(each))),
        ("stops.json", document),
        ("stops.html", page),
    ],
)
def test_the_table_is_as_its_golden_file(
    golden: Golden, name: str, form: Callable[[list[Table]], str]
) -> None:
    golden(name, form(found(*KERNELS)))


def test_kernels_under_which_every_vmm_tells_the_same_are_a_row() -> None:
    (alone,) = found("5.10", "5.12", "6.12", "7.2", vmms=("plain",))
    (both,) = found("5.10", "5.12", "6.12", "7.2", vmms=("plain", "qemu-2017"))
    assert [row.kernels for row in alone.rows] == [("5.10",), ("5.12", "6.12", "7.2")]
    assert [row.kernels for row in both.rows] == [("5.10",), ("5.12",), ("6.12",), ("7.2",)]


def test_a_cell_says_how_it_is_known() -> None:
    (told,) = json.loads(document(found("5.12", "6.12", vmms=("plain", "qemu", "crosvm"))))
    (row,) = told["rows"]
    evidence = {vmm: cell["evidence"] for vmm, cell in row["cells"].items()}
    assert evidence["plain"]["kind"] == "kernel"
    assert evidence["qemu"] == {"kind": "recorded", "version": "10.0.13", "kernels": ["6.12"]}
    assert evidence["crosvm"] == {"kind": "source", "version": "f1e797a68", "kernels": []}
    (other,) = json.loads(document(found("5.12", vmms=("qemu",))))
    assert other["rows"][0]["cells"]["qemu"]["evidence"]["kind"] == "other"


def test_a_cell_that_the_vmm_itself_told_is_recorded() -> None:
    def run(case: ScenarioCase, vmm: str) -> Course:
        return emulated(case, vmm) if vmm == "qemu" else Course((), End.LEFT_OUT, "no such memory")

    (table,) = tables(cases("6.12"), ("qemu", "qemu-7.2"), run, "lab:6.12")
    table = replace(table, carried={"qemu": "10.0.13"})
    shown = plain(text([table]))
    assert "told [r]" in shown
    assert "[r]         recorded: the VMM itself told it, on this machine: qemu (10.0.13)" in shown
    assert "left out: no such\n" in shown
    assert "left out: no such memory</p>" in page([table])
    assert "told <span" in page([table])


def test_a_kernel_that_cannot_run_it_is_left_out_and_named() -> None:
    def run(case: ScenarioCase, vmm: str) -> Course:
        if case.kernel == "5.12":
            raise Unsupported("no such thing")
        return emulated(case, vmm)

    (table,) = tables(cases("5.10", "5.12"), ("plain",), run)
    assert table.left_out == (("5.12", "no such thing"),)
    assert "left out: no such thing" in plain(text([table]))
    assert "left out: no such thing" in page([table])


@pytest.mark.parametrize(
    ("course", "said"),
    [
        (Course((), End.NOT_MODELLED, "a timer <x>"), "not modelled: a timer <x>"),
        (Course((), End.REFUSED, "KVM_SET_GUEST_DEBUG: errno 22"), "refused: KVM_SET_GUEST_DEBUG"),
        (Course((), End.VMM, "the stub died"), "the stub died"),
        (Course((), End.RUNS, given=True), "the VMM gave it an exception"),
        (Course((), End.WAITS), "waits after"),
        (Course((), End.CODE, unset=((2, 0, 4), (3, 0, 4))), "sets no watchpoint"),
    ],
)
def test_a_cell_says_by_name_what_there_is_instead_of_stops(course: Course, said: str) -> None:
    found = tables(cases("6.12"), ("plain",), lambda case, vmm: course)
    shown = " ".join(plain(text(found)).split())
    first = said.split(" <")[0]
    assert first.split("_")[0] in shown
    (told,) = json.loads(document(found))
    assert any(said in each for each in told["rows"][0]["cells"]["plain"]["says"])
    assert "<x>" not in page(found)


def test_what_a_scenario_says_is_only_text_in_the_page() -> None:
    (case,) = cases("6.12")
    hostile = replace(case, scenario=replace(case.scenario, title="<script>x</script> & \x1b[31m"))

    class Tags(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.seen = set[str]()

        def handle_starttag(self, tag: str, attrs: object) -> None:
            self.seen.add(tag)

    shown = page(tables([hostile], ("plain",), lambda case, vmm: Course((), End.CODE)))
    parser = Tags()
    parser.feed(shown)
    assert "script" not in parser.seen
    assert "\x1b" not in shown


def test_colours_add_nothing_but_colours() -> None:
    lines = text(found("5.10", vmms=("plain", "qemu-2017")))
    assert "\x1b[" in coloured(lines)
    assert "\x1b[" not in plain(lines)


# -- the command -------------------------------------------------------------------------------

Capture = pytest.CaptureFixture[str]


def test_the_command_steps_through_every_kernel_that_the_scenario_is_for(capsys: Capture) -> None:
    assert main(["stops", "mixed/load.vcpu.yaml", "--vmm", "plain", "--format", "json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    kernels = [kernel for row in told["rows"] for kernel in row["kernels"]]
    assert kernels == list(load("mixed/load.vcpu.yaml").audience.rows())
    assert told["vmms"] == ["plain"]


def test_a_vmm_that_there_is_not_is_an_error_with_what_was_meant(capsys: Capture) -> None:
    assert main(["stops", "mixed/load.vcpu.yaml", "--vmm", "crossvm"]) == 4
    assert "no VMM is called `crossvm`" in (told := capsys.readouterr().err)
    assert "crosvm" in told


def test_nothing_selected_is_said(capsys: Capture) -> None:
    assert main(["stops", "mixed/load.vcpu.yaml", "-k", "nothing"]) == 5
    assert "no case is selected" in capsys.readouterr().err


def test_what_is_not_modelled_is_the_status(capsys: Capture, tmp_path: Path) -> None:
    # msr spsr_el1, x1 (to AArch32); msr elr_el1, x2; eret
    words = "[0xd5184001, 0xd5184022, 0xd69f03e0]"
    guest = f"guest: {{words: {words}, registers: {{x1: 0x10, x2: 0x40000000}}}}"
    scenario = tmp_path / "aarch32.vcpu.yaml"
    scenario.write_text(f"title: to AArch32\n{guest}\nexpect: [{{exits: []}}]\n")
    status = main(["stops", str(scenario), "--kernel", "6.12", "--vmm", "plain"])
    assert status == 6
    assert "not modelled: AArch32" in " ".join(capsys.readouterr().out.split())


def test_a_page_goes_to_a_file(tmp_path: Path) -> None:
    page = tmp_path / "stops.html"
    args = ["stops", "mixed/load.vcpu.yaml", "--kernel", "6.12", "--format", "html"]
    assert main([*args, "--output", str(page)]) == 0
    assert page.read_text().startswith("<!DOCTYPE html>")
