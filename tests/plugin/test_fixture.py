"""The fixture ``scenario_runner``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from vcpu_scenario.api import dumps

from .conftest import PLUGIN, ROOT, Run, breakpoint

pytest_plugins = ["pytester"]

RIGHT = """
    title: a breakpoint
    guest: {at: 0x40000000, words: [0xd42000e0]}
    debug: {software_breakpoints: true}
    expect:
      - exits: [debug: {brk: 0x40000000, imm: 7}]
"""


@pytest.mark.slow
def test_it_runs_text_and_python_and_files(run: Run, project: pytest.Pytester) -> None:
    project.makepyfile(
        f"""
        import pytest
        RIGHT = {RIGHT!r}
        PYTHON = {breakpoint()!r}

        def verdicts(results):
            return [result.verdict for result in results]

        def test_text(scenario_runner):
            assert verdicts(scenario_runner.run(RIGHT, "6.12")) == ["pass"]

        def test_python(scenario_runner):
            assert verdicts(scenario_runner.run(PYTHON)) == ["pass", "pass"]

        def test_path(scenario_runner, monkeypatch, tmp_path):
            monkeypatch.chdir(tmp_path)    # paths are from the test's folder
            assert verdicts(scenario_runner.run("sub/wrong.vcpu.yaml")) == ["fail", "fail"]
            both = scenario_runner.run("sub", keyword="6.12")
            assert verdicts(both) == ["pass", "fail"]

        def test_scenario_and_case(scenario_runner):
            scenario = scenario_runner.load(PYTHON)
            assert verdicts(scenario_runner.run(scenario, vmms="plain")) == ["pass", "pass"]
            (case,) = scenario.cases(["6.12"])
            assert verdicts(scenario_runner.check(case)) == ["pass"]
            assert scenario_runner.load(case) is scenario

        def test_several(scenario_runner):
            one, other = (scenario_runner.load(text) for text in (RIGHT, PYTHON))
            assert one.path != other.path
            assert one.path.exists()

        def test_checked(scenario_runner):
            assert len(scenario_runner.check(PYTHON)) == 2
        """
    )
    run().assert_outcomes(passed=6)


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("-p", "xdist", "-n", "2")], ids=["alone", "xdist"])
def test_a_check_that_fails_tells_where(
    options: tuple[str, ...], run: Run, project: pytest.Pytester
) -> None:
    project.makepyfile(
        f"""
        def test_it(scenario_runner):
            scenario_runner.check({RIGHT.replace("7", "8")!r}, ["5.10", "6.12"])
        """
    )
    result = run(*options)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "_* test_it _*",
            "a breakpoint",
            "*scenario@5.10/plain and on 6.12",
            "*/scenario.vcpu.yaml:6:*: field hsr: expected EC 0x3c (BRK #0x8), found *",
            " 6 |   - exits: [[]debug: {brk: 0x40000000, imm: 8}[]]",
        ],
    )
    assert "pytest.fail" not in str(result.stdout), "the fixture's own code explains nothing"


def test_a_check_of_nothing_fails(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        def test_it(scenario_runner):
            scenario_runner.check("sub/right.vcpu.yaml", keyword="nothing")
        """
    )
    result = project.runpytest_inprocess(*PLUGIN)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines("no case is selected")


def test_a_check_of_what_cannot_be_run_is_skipped(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        from vcpu_scenario.machine.errors import Unsupported

        def machine(kernel):
            raise Unsupported("not here")

        def test_it(scenario_runner):
            scenario_runner.check("sub/right.vcpu.yaml", machine=machine)
        """
    )
    result = project.runpytest_inprocess(*PLUGIN, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines("SKIPPED *not here")


def test_an_invalid_scenario_is_told_with_its_place(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        def test_it(scenario_runner):
            scenario_runner.run('''
                titel: wrong
            ''')
        """
    )
    result = project.runpytest_inprocess(*PLUGIN)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines("*scenario.vcpu.yaml:2:1: error: unknown key `titel`*")


def test_files_that_a_scenario_names_are_beside_it(project: pytest.Pytester) -> None:
    Path("sub/code.bin").write_bytes(bytes.fromhex("1f2003d5e00020d4"))
    scenario = breakpoint() | {"guest": {"at": 0x40000000, "binary": "code.bin"}}
    Path("sub/binary.vcpu.yaml").write_text(dumps(scenario))
    project.makepyfile(
        """
        def test_it(scenario_runner):
            scenario_runner.check("sub/binary.vcpu.yaml")
        """
    )
    project.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=1)


@pytest.mark.slow
def test_the_examples_of_the_documentation_pass(project: pytest.Pytester) -> None:
    page = (ROOT / "docs" / "pytest.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    Path("scenarios").symlink_to(ROOT / "scenarios")
    project.mkdir("tests").joinpath("test_page.py").write_text(code)
    result = project.runpytest_subprocess(*PLUGIN, "tests")
    result.assert_outcomes(passed=code.count("def test_") + 2)  # one has three parameters
