"""``scenario new``: what it writes passes as it is."""

from __future__ import annotations

import builtins
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from vcpu_scenario.assembly import assembled
from vcpu_scenario.authoring.formatting import formatted
from vcpu_scenario.authoring.new import file_name, scenario_path
from vcpu_scenario.authoring.template import templates
from vcpu_scenario.kernels.release import KNOWN_RELEASES
from vcpu_scenario.language import load
from vcpu_scenario.language.schema import schema_text

from tests.commandline import Scenario

NAMES = list(templates())


@pytest.fixture
def no_assembler(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise assembled.NoAssembler("there is none")

    monkeypatch.setattr("vcpu_scenario.assembly.cache.assemble", none)


def test_there_is_something_to_start_from_for_each_kind_of_exit() -> None:
    assert NAMES == ["breakpoint", "hypercall", "in-kernel-device", "mmio", "step-over-mmio"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("no_assembler")
def test_a_new_scenario_passes_on_every_kernel_without_an_assembler(
    name: str, scenario: Scenario, tmp_path: Path
) -> None:
    assert scenario("new", "mine", "--template", name).status == 0
    outcome = scenario("run", "mine.vcpu.yaml")
    assert outcome.status == 0, outcome.out
    passed = re.search(r"(\d+) passed", outcome.out)
    assert passed is not None
    assert int(passed[1]) >= len(KNOWN_RELEASES)


@pytest.mark.usefixtures("no_assembler")
def test_with_other_code_it_needs_one(scenario: Scenario, tmp_path: Path) -> None:
    scenario("new", "mine", "--template", "mmio")
    path = tmp_path / "mine.vcpu.yaml"
    path.write_text(path.read_text().replace("#0x18]", "#0x1c]"))
    outcome = scenario("check", "mine.vcpu.yaml")
    assert outcome.status == 4
    assert "there is none" in outcome.err


@pytest.mark.parametrize("name", NAMES)
def test_a_new_scenario_is_in_the_style(name: str, scenario: Scenario, tmp_path: Path) -> None:
    scenario("new", "mine", "--template", name)
    path = tmp_path / "mine.vcpu.yaml"
    assert formatted(path.read_text(), path) == path.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_template_is_in_the_style_itself(name: str) -> None:
    text = templates()[name].text
    assert formatted(text, f"{name}.vcpu.yaml") == text


def test_it_says_what_it_wrote_and_what_to_do_next(scenario: Scenario, tmp_path: Path) -> None:
    assert scenario("new", "mine").transcript == (
        "wrote mine.vcpu.yaml\n"
        "wrote mine.words.json\n"
        "wrote scenario.schema.json\n"
        "\n"
        "It passes as it is: scenario run mine.vcpu.yaml\n"
        "--- status 0\n"
    )
    assert (tmp_path / "scenario.schema.json").read_text() == schema_text()
    first = (tmp_path / "mine.vcpu.yaml").read_text().partition("\n")[0]
    assert first == "# yaml-language-server: $schema=scenario.schema.json"


def test_a_schema_in_a_folder_above_is_used(scenario: Scenario, tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas/scenario.schema.json").write_text(schema_text())
    scenario("new", "a/b/mine")
    path = tmp_path / "a/b/mine.vcpu.yaml"
    first = path.read_text().partition("\n")[0]
    assert first == "# yaml-language-server: $schema=../../schemas/scenario.schema.json"
    assert [each.name for each in sorted(path.parent.iterdir())] == [
        "mine.vcpu.yaml",
        "mine.words.json",
    ]


@pytest.mark.parametrize("other", ["{", "[]", '{"$id": "https://example.org/other.json"}'])
def test_another_project_s_schema_is_not(other: str, scenario: Scenario, tmp_path: Path) -> None:
    (tmp_path / "scenario.schema.json").write_text(other)
    scenario("new", "sub/mine")
    assert json.loads((tmp_path / "sub/scenario.schema.json").read_text())["title"]


def test_title_tags_and_schema_can_be_given(scenario: Scenario, tmp_path: Path) -> None:
    title = 'a "quoted" title: with #, [ and \\'
    scenario(
        *("new", "mine", "--template", "mmio", "--title", title),
        *("--tag", "first", "--tag", "on", "--schema", "https://example.org/s.json"),
    )
    loaded = load(tmp_path / "mine.vcpu.yaml")
    assert loaded.title == title
    assert loaded.tags == ("first", "on")
    text = (tmp_path / "mine.vcpu.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=https://example.org/s.json\n")
    assert not (tmp_path / "scenario.schema.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "title",
    ["plain", "12", "true", "- a", "a: b", "a #b", "'a'", "it's", "a\nb", "*a", "${x}", "é"],
)
def test_any_title_is_taken_as_it_is(title: str, scenario: Scenario, tmp_path: Path) -> None:
    assert scenario("new", "mine", "--title", title).status == 0
    assert load(tmp_path / "mine.vcpu.yaml").title == title.replace("\n", " ")


def test_nothing_is_overwritten_unasked(scenario: Scenario, tmp_path: Path) -> None:
    scenario("new", "mine", "--template", "mmio")
    before = (tmp_path / "mine.vcpu.yaml").read_text()
    outcome = scenario("new", "mine", "--template", "hypercall")
    assert outcome.status == 4
    assert outcome.err == (
        "scenario: new: mine.vcpu.yaml, mine.words.json would be overwritten; --force does that\n"
    )
    assert (tmp_path / "mine.vcpu.yaml").read_text() == before
    assert scenario("new", "mine", "--template", "hypercall", "--force").status == 0
    assert (tmp_path / "mine.vcpu.yaml").read_text() != before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new"], "new: say where to write it: scenario new PATH"),
        (
            ["new", "mine", "--template", "mimo"],
            f"--template: none is called `mimo`; there are {', '.join(NAMES)};"
            " did you mean `mmio`?",
        ),
        (
            ["new", "mine", "--tag", "Two words"],
            "--tag: `Two words` is none; expected lower-case letters, digits and _.-",
        ),
    ],
)
def test_a_request_that_makes_no_sense_writes_nothing(
    arguments: list[str], message: str, scenario: Scenario, tmp_path: Path
) -> None:
    outcome = scenario(*arguments)
    assert outcome.transcript == f"--- stderr\nscenario: {message}\n--- status 4\n"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(scenario: Scenario, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outcome = scenario("new", "file/mine")
    assert outcome.status == 3
    assert re.match(r"scenario: cannot write file(/mine)?.*: ", outcome.err)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("mine", "mine.vcpu.yaml"),
        ("a/mine.yaml", "a/mine.vcpu.yaml"),
        ("mine.vcpu.yml", "mine.vcpu.yaml"),
        ("mine.vcpu.yaml", "mine.vcpu.yaml"),
        ("v1.2", "v1.2.vcpu.yaml"),
        ("new/", "new/step-over-it.vcpu.yaml"),
        (".", "step-over-it.vcpu.yaml"),
    ],
)
def test_the_path_gets_what_it_lacks(given: str, path: str) -> None:
    assert scenario_path(given, "Step over it!") == Path(path)


@pytest.mark.parametrize(
    ("args", "status", "told"),
    [
        (("x" * 300,), 3, "File name too long"),
        (("mine", "--title", "\udcff"), 4, "is not UTF-8"),
    ],
)
def test_what_cannot_be_written_is_told(
    scenario: Scenario, args: tuple[str, ...], status: int, told: str
) -> None:
    outcome = scenario("new", *args)
    assert outcome.status == status
    assert told in outcome.err
    assert "internal" not in outcome.err


def test_every_title_makes_a_name() -> None:
    assert file_name("???") == "scenario"
    assert file_name("x" * 100) == "x" * 60


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """``terminal("2", "")`` has a user give these answers; the list is what they were asked."""

    def answer(*answers: str) -> list[str]:
        asked: list[str] = []
        left: Iterator[str] = iter(answers)

        def respond(prompt: str = "") -> str:
            asked.append(prompt)
            try:
                return next(left)
            except StopIteration:
                raise EOFError from None

        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        monkeypatch.setattr(builtins, "input", respond)
        for module in ("typer._click.termui", "click.termui"):
            if module in sys.modules:
                monkeypatch.setattr(f"{module}.visible_prompt_func", respond)
        return asked

    return answer


def test_who_names_no_path_is_asked(
    scenario: Scenario, tmp_path: Path, terminal: Callable[..., list[str]]
) -> None:
    terminal("4", "what I want to see", "")
    outcome = scenario("new")
    assert outcome.status == 0, outcome.err
    assert "4  mmio " in outcome.out
    loaded = load(tmp_path / "what-i-want-to-see.vcpu.yaml")
    assert loaded.title == "what I want to see"
    assert loaded.tags == ("mmio",)


def test_defaults_are_taken_with_enter(
    scenario: Scenario, tmp_path: Path, terminal: Callable[..., list[str]]
) -> None:
    terminal("", "", "")
    assert scenario("new").status == 0
    template = templates()["step-over-mmio"]
    assert load(tmp_path / f"{file_name(template.title)}.vcpu.yaml").title == template.title


def test_only_what_is_open_is_asked(
    scenario: Scenario, tmp_path: Path, terminal: Callable[..., list[str]]
) -> None:
    asked = terminal("here")
    assert scenario("new", "--template", "mmio", "--title", "t").status == 0
    assert len(asked) == 1
    assert (tmp_path / "here.vcpu.yaml").exists()


def test_who_leaves_in_the_middle_has_interrupted(
    scenario: Scenario, tmp_path: Path, terminal: Callable[..., list[str]]
) -> None:
    terminal("mmio")
    assert scenario("new").status == 2
    assert list(tmp_path.iterdir()) == []
