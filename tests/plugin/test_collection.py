"""What is collected, and under which names, places and markers."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from vcpu_scenario.api import dumps

from .conftest import PLUGIN, Run, breakpoint

pytest_plugins = ["pytester"]

ON = ("-o", "vcpu_scenarios=true")

ALL = [
    "sub/right.vcpu.yaml::5.10/plain",
    "sub/right.vcpu.yaml::6.12/plain",
    "sub/wrong.vcpu.yaml::5.10/plain",
    "sub/wrong.vcpu.yaml::6.12/plain",
]


def collected(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if "::" in line]


def ids(project: pytest.Pytester, *args: str) -> list[str]:
    return collected(project.runpytest_inprocess(*PLUGIN, "--co", "-q", *args))


@pytest.mark.slow
def test_a_project_that_did_not_ask_collects_none(run: Run) -> None:
    assert run("--co", "-q").ret == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.slow
def test_a_project_that_asks_collects_each_case(run: Run, project: pytest.Pytester) -> None:
    project.makeini("[pytest]\nvcpu_scenarios = true\n")
    assert collected(run("--co", "-q")) == ALL


@pytest.mark.slow
def test_a_file_that_is_named_is_collected_unasked(run: Run) -> None:
    assert collected(run("--co", "-q", "sub/right.vcpu.yaml")) == ALL[:2]


@pytest.mark.slow
@pytest.mark.parametrize("wanted", ALL)
def test_a_case_can_be_named(wanted: str, project: pytest.Pytester) -> None:
    assert ids(project, wanted) == [wanted]


@pytest.mark.slow
def test_a_case_with_parameters_has_them_last(project: pytest.Pytester) -> None:
    matrix = {"width": [4, 8], "op": ["a b", "c::d"]}
    data = [{"at": 0x40000010, "text": "of ${width} ${op}"}]
    Path("m.vcpu.yaml").write_text(dumps(breakpoint(matrix=matrix, data=data)))
    found = ids(project, "m.vcpu.yaml")
    assert found[:2] == [
        "m.vcpu.yaml::5.10/plain[width=4,op=a_b]",
        "m.vcpu.yaml::6.12/plain[width=4,op=a_b]",
    ]
    assert len(set(found)) == len(found) == 8
    for one in found:
        assert ids(project, one) == [one]
    every = ids(project, "m.vcpu.yaml::6.12/plain")
    assert sorted(every) == sorted(one for one in found if "6.12" in one)


def test_hidden_files_are_collected_only_where_named(project: pytest.Pytester) -> None:
    Path(".draft.vcpu.yaml").write_text(dumps(breakpoint()))
    assert ids(project, *ON) == ALL
    assert len(ids(project, ".draft.vcpu.yaml")) == 2


def test_other_yaml_is_none_of_its_business(project: pytest.Pytester) -> None:
    Path("other.yaml").write_text("not: a scenario")
    assert ids(project, *ON) == ALL


def test_a_case_is_where_its_clause_is(project: pytest.Pytester) -> None:
    clauses = [
        {"kernels": "5.10", "exits": [{"debug": {"brk": 0x40000004, "imm": 7}}]},
        {"kernels": "6.12", "exits": [{"debug": {"brk": 0x40000004}}]},
    ]
    path = Path("two.vcpu.yaml")
    path.write_text(dumps(breakpoint() | {"expect": clauses}))
    lines = path.read_text().splitlines()
    found, _ = project.inline_genitems(*PLUGIN, "two.vcpu.yaml")
    for item, kernel in zip(found, ["5.10", "6.12"], strict=True):
        file, line, title = item.location
        assert (file, title) == ("two.vcpu.yaml", f"two@{kernel}/plain")
        assert line is not None
        assert lines[line] == f'- kernels: "{kernel}"'
        assert item.path == path.resolve()


@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        ("6.12", [ALL[1], ALL[3]]),
        ("right", ALL[:2]),
        ("right and not 5.10", [ALL[1]]),
        ("sub/wrong", ALL[2:]),
        ("nothing", []),
    ],
)
def test_keywords_find_cases_by_their_ids(
    expression: str, kept: list[str], project: pytest.Pytester
) -> None:
    assert ids(project, *ON, "-k", expression) == kept


@pytest.mark.parametrize(
    ("expression", "kept"),
    [("single-step", ALL[:2]), ("brk and not single-step", ALL[2:]), ("vcpu", ALL)],
)
def test_tags_are_markers(expression: str, kept: list[str], project: pytest.Pytester) -> None:
    args = (*ON, "--strict-markers", "-m", expression)
    assert ids(project, *args) == kept


@pytest.mark.slow
@pytest.mark.parametrize("tag", ["skip", "xfail", "usefixtures", "parametrize", "slow"])
def test_a_tag_that_means_something_else_to_pytest_means_no_such_thing(
    tag: str, project: pytest.Pytester
) -> None:
    project.makeini("[pytest]\nmarkers =\n  slow(seconds): of the project's own\n")
    run = partial(project.runpytest_inprocess, *PLUGIN)
    Path("t.vcpu.yaml").write_text(dumps(breakpoint(tags=[tag])))
    run("t.vcpu.yaml").assert_outcomes(passed=2)
    run("t.vcpu.yaml", "-m", tag).assert_outcomes(deselected=2)
    run("t.vcpu.yaml", "-m", f"tag-{tag}", "--strict-markers").assert_outcomes(passed=2)


@pytest.mark.slow
def test_a_file_that_is_no_scenario_is_told_as_on_the_command_line(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    from vcpu_scenario.cli import main

    Path("bad.vcpu.yaml").write_text(dumps(breakpoint(titel="x", debug={"single_stop": True})))
    main(["check", "bad.vcpu.yaml"])
    told = capsys.readouterr().err.partition("\n\n2 errors")[0]
    assert "did you mean" in told
    result = run("bad.vcpu.yaml", "sub/right.vcpu.yaml")
    assert f"ERROR collecting bad.vcpu.yaml ________________________\n{told}\n===" in str(
        result.stdout
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED


def test_a_scenario_for_no_kernel_has_no_tests(project: pytest.Pytester) -> None:
    clause = {"vmm": ["plain"], "never": [{"mmio": {"read": 0}}]}
    never = breakpoint() | {"kernels": "5.0-v2trap", "expect": [clause]}
    Path("n.vcpu.yaml").write_text(dumps(never))
    assert ids(project, "n.vcpu.yaml") == ["n.vcpu.yaml::5.0-v2trap/plain"]


def test_files_outside_a_scenarios_folder_are_read_where_they_are_allowed(
    pytester: pytest.Pytester, run: Run
) -> None:
    own, build = pytester.mkdir("own"), pytester.mkdir("build")
    (build / "fw.bin").write_bytes(bytes.fromhex("1f2003d5 e00020d4"))
    scenario = dumps(breakpoint(guest={"binary": "../build/fw.bin"}))
    (own / "made.vcpu.yaml").write_text(scenario)
    refused = run("own/made.vcpu.yaml")
    refused.assert_outcomes(errors=1)
    refused.stdout.fnmatch_lines("*it is outside the scenario's folder*")
    run("own/made.vcpu.yaml", "--vcpu-allow-dir", "build").assert_outcomes(passed=2)
    wrong = run("own/made.vcpu.yaml", "--vcpu-allow-dir", "biuld")
    wrong.assert_outcomes(errors=1)
    wrong.stdout.fnmatch_lines("*cannot allow the folder *biuld: no such file or directory*")
    pytester.makeini("[pytest]\nvcpu_allow_dirs = build")
    run("own/made.vcpu.yaml").assert_outcomes(passed=2)
    pytester.makepyfile(
        "def test_it(scenario_runner):\n"
        "    scenario_runner.check('own/made.vcpu.yaml')\n"
        "    assert scenario_runner.load('own/made.vcpu.yaml')\n"
    )
    run().assert_outcomes(passed=1)


def test_a_link_out_of_the_project_is_an_error_unless_it_is_named(
    project: pytest.Pytester, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What is wrong with a file is shown with its lines: it must not be one of somebody else."""
    secret = tmp_path_factory.mktemp("elsewhere") / "a.vcpu.yaml"
    secret.write_text("password: hunter2\n")
    (Path("sub") / "link.vcpu.yaml").symlink_to(secret)
    result = project.runpytest_inprocess(*PLUGIN, *ON, "--co", "-q")
    result.stdout.fnmatch_lines(["*is a link out of the folder; name it to use it*"])
    result.stdout.no_fnmatch_line("*hunter2*")
    named = project.runpytest_inprocess(*PLUGIN, "--co", "-q", "sub/link.vcpu.yaml")
    named.stdout.fnmatch_lines(["*hunter2*"])
