"""What becomes of a case that pytest runs."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml, Properties
from vcpu_scenario import pytest_plugin
from vcpu_scenario.api import dumps
from vcpu_scenario.cli import application, main
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.pytest_plugin import nodes

from .conftest import PLUGIN, ROOT, Run, breakpoint

pytest_plugins = ["pytester"]

# What is first imported within a run of pytester is forgotten after it, and comes a second time.
assert application

XDIST = ("-p", "xdist", "-n", "2")
KNOWN = {"xfail": {"reason": "not mended yet", "link": "https://example.org/1"}}


def command_line(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """What the command line says is wrong."""
    capsys.readouterr()
    main(["run", *args])
    out = capsys.readouterr().out
    return out.partition(" DIFFERENCES ")[2].partition("=\n\n")[2].partition("\n\n====")[0]


def section(output: str, title: str) -> str:
    """What pytest shows under a failure's headline."""
    return output.partition(f"_ {title} _")[2].partition("_\n")[2].partition("\n____")[0]


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), XDIST], ids=["alone", "xdist"])
def test_a_failure_reads_as_on_the_command_line(
    options: tuple[str, ...], run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(run("sub/wrong.vcpu.yaml", *options).stdout)
    expected = command_line(capsys, "sub/wrong.vcpu.yaml", "--kernel", "5.10")
    assert "sub/wrong.vcpu.yaml:" in expected
    assert "^" in expected
    shown = section(output, "sub/wrong@5.10/plain")
    shown = re.sub(r"\A\[gw\d\] .*\n", "", shown)
    assert f"{shown}\n".startswith(f"{expected}\n")


@pytest.mark.slow
def test_outcomes_are_verdicts(run: Run) -> None:
    result = run("-o", "vcpu_scenarios=true")
    result.assert_outcomes(passed=2, failed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.slow
def test_workers_of_xdist_run_what_one_process_runs(run: Run) -> None:
    result = run("-o", "vcpu_scenarios=true", "-v", *XDIST)
    result.assert_outcomes(passed=2, failed=2)
    for file, verdict in (("right", "PASSED"), ("wrong", "FAILED")):
        for kernel in ("5.10", "6.12"):
            result.stdout.fnmatch_lines(
                f"[[]gw?[]] * {verdict} sub/{file}.vcpu.yaml::{kernel}/plain*"
            )


@pytest.mark.slow
@pytest.mark.parametrize("dist", ["load", "loadscope", "loadfile", "loadgroup", "worksteal"])
def test_xdist_may_share_out_the_cases_as_it_likes(dist: str, project: pytest.Pytester) -> None:
    args = ("-o", "vcpu_scenarios=true", *XDIST, "--dist", dist)
    project.runpytest_subprocess(*PLUGIN, *args).assert_outcomes(passed=2, failed=2)


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), XDIST], ids=["alone", "xdist"])
def test_the_last_failures_are_run_again_and_nothing_else(
    options: tuple[str, ...], run: Run
) -> None:
    args = ("-o", "vcpu_scenarios=true", *options)
    run(*args).assert_outcomes(passed=2, failed=2)
    Path("sub/wrong.vcpu.yaml").write_text(dumps(breakpoint()))
    run(*args, "--lf").assert_outcomes(passed=2)
    run(*args, "--lf").assert_outcomes(passed=4)


@pytest.mark.slow
def test_the_last_failures_of_named_files_are_run_again_and_nothing_else(run: Run) -> None:
    files = ("sub/right.vcpu.yaml", "sub/wrong.vcpu.yaml")
    run(*files, "-k", "6.12").assert_outcomes(passed=1, failed=1, deselected=2)
    result = run(*files, "--lf")
    result.assert_outcomes(failed=1, deselected=1)


@pytest.mark.slow
def test_the_first_failure_can_end_the_run(run: Run) -> None:
    run("-o", "vcpu_scenarios=true", "-x").assert_outcomes(passed=2, failed=1)


@pytest.mark.slow
def test_what_is_known_to_fail_is_an_xfail_with_its_reason(run: Run) -> None:
    Path("known.vcpu.yaml").write_text(dumps(breakpoint(imm=8, clause=KNOWN)))
    result = run("known.vcpu.yaml", "-rx")
    result.assert_outcomes(xfailed=2)
    result.stdout.fnmatch_lines("XFAIL known.*6.12/plain*not mended yet (https://example.org/1)")


@pytest.mark.slow
def test_what_is_known_to_fail_fails_where_it_does_not(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("known.vcpu.yaml").write_text(dumps(breakpoint(clause=KNOWN)))
    result = run("known.vcpu.yaml")
    result.assert_outcomes(failed=2)
    expected = command_line(capsys, "known.vcpu.yaml", "--kernel", "5.10")
    assert "xfail" in expected
    assert section(str(result.stdout), "known@5.10/plain") == expected


@pytest.mark.slow
def test_nothing_is_known_to_fail_with_runxfail(run: Run) -> None:
    Path("known.vcpu.yaml").write_text(dumps(breakpoint(imm=8, clause=KNOWN)))
    result = run("known.vcpu.yaml", "--runxfail")
    result.assert_outcomes(failed=2)
    assert "field hsr: expected" in str(result.stdout)


def test_what_the_machine_cannot_do_is_skipped(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    def machine(kernel: str) -> Any:
        raise Unsupported("no such machine")

    monkeypatch.setattr(nodes, "create", machine)
    result = project.runpytest_inprocess(*PLUGIN, "sub/right.vcpu.yaml", "-rs")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines("SKIPPED [[]2[]] *: no such machine")


def test_what_the_runner_cannot_do_fails_with_its_traceback(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    def machine(kernel: str) -> Any:
        raise RuntimeError("out of machines")

    monkeypatch.setattr(nodes, "create", machine)
    result = project.runpytest_inprocess(*PLUGIN, "sub/right.vcpu.yaml", "-k", "6.12")
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(
        [
            "sub/right@6.12/plain",
            "the runner failed: RuntimeError: out of machines",
            "-* Captured traceback call -*",
            "Traceback (most recent call last):",
        ]
    )


@pytest.mark.slow
def test_junit_has_each_case_with_its_properties(run: Run) -> None:
    run("-o", "vcpu_scenarios=true", "--junitxml", "out.xml")
    cases = [case for suite in JUnitXml.fromfile("out.xml") for case in suite]
    assert [case.name for case in cases] == ["5.10/plain", "6.12/plain"] * 2
    given = cases[1].child(Properties)  # type: ignore[no-untyped-call]
    properties = {prop.name: prop.value for prop in given}
    assert properties == {"case": "sub/right@6.12/plain", "kernel": "6.12", "vmm": "plain"}
    (failure,) = cases[3].result
    assert "sub/wrong.vcpu.yaml:" in failure.text


@pytest.mark.slow
def test_a_test_of_another_kind_imports_nothing_of_the_package(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import json, sys

        def test_imports(request):
            names = [name for name in sys.modules if name.partition(".")[0] == "vcpu_scenario"]
            json.dump(names, open("names.json", "w"))
        """
    )
    project.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1)
    names = json.loads(Path("names.json").read_text())
    assert sorted(names) == [
        "vcpu_scenario",
        "vcpu_scenario.host",
        "vcpu_scenario.host.package",
        "vcpu_scenario.pytest_plugin",
        "vcpu_scenario.pytest_plugin.settings",
    ]


def test_only_the_public_interface_of_pytest_is_used() -> None:
    import ast

    folder = Path(pytest_plugin.__file__).parent
    used = set()
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                used.add(node.module or "")
            elif isinstance(node, ast.Import):
                used |= {alias.name for alias in node.names}
            elif isinstance(node, ast.Attribute):
                assert not (
                    isinstance(node.value, ast.Name)
                    and node.value.id in ("pytest", "item", "config", "session")
                    and node.attr.startswith("_")
                ), f"{file}:{node.lineno}"
    assert not {name for name in used if name.partition(".")[0] in ("_pytest", "pluggy")}
    assert "pytest" in used


def test_the_entry_point_names_the_plugin() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"vcpu-scenario": pytest_plugin.__name__}


STRICT = ("--strict-markers", "--strict-config", "-W", "error")


@pytest.mark.slow
@pytest.mark.parametrize("tags", [[], ["brk"], ["skip", "vcpu"]], ids=str)
def test_every_marker_is_declared(tags: list[str], run: Run) -> None:
    Path("only.vcpu.yaml").write_text(dumps(breakpoint(tags=tags)))
    run(*STRICT, "only.vcpu.yaml").assert_outcomes(passed=2)
    run(*STRICT, "-p", "no:cacheprovider", "-m", "vcpu", "only.vcpu.yaml").assert_outcomes(passed=2)


@pytest.mark.slow
def test_the_marker_is_listed_where_there_is_no_scenario(run: Run) -> None:
    run("--markers").stdout.fnmatch_lines("@pytest.mark.vcpu: a case of a scenario")


ODD = {
    "not UTF-8": b"b\xff\xfe",
    "a folder that is not UTF-8": b"folder-\xff/b",
    "control characters": b"line\nesc\x1b[31m",
    "brackets and colons": b"a [b]::c",
    "letters of many": "ünï-中".encode(),
}


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), XDIST], ids=["alone", "xdist"])
@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
def test_a_file_may_have_any_name(
    name: bytes, options: tuple[str, ...], project: pytest.Pytester
) -> None:
    for imm, end in (7, b"-right.vcpu.yaml"), (8, b"-wrong.vcpu.yaml"):
        path = Path(os.fsdecode(name + end))
        path.parent.mkdir(exist_ok=True)
        path.write_text(dumps(breakpoint(imm=imm)))
    args = ("-o", "vcpu_scenarios=true", "--ignore=sub", "--junitxml=out.xml", *options)
    result = project.runpytest_subprocess(*PLUGIN, *args)
    result.assert_outcomes(passed=2, failed=2)
    assert "\x1b" not in str(result.stdout)
    assert len([case for suite in JUnitXml.fromfile("out.xml") for case in suite]) == 4


@pytest.mark.slow
def test_an_invalid_file_may_have_any_name(project: pytest.Pytester) -> None:
    for name in ODD.values():
        path = Path(os.fsdecode(name + b".vcpu.yaml"))
        path.parent.mkdir(exist_ok=True)
        path.write_text("title: [")
    args = ("-o", "vcpu_scenarios=true", "--ignore=sub", *XDIST)
    result = project.runpytest_subprocess(*PLUGIN, *args)
    result.assert_outcomes(errors=len(ODD))
