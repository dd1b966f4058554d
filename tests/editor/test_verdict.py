"""The editor and ``scenario check`` agree on which files have faults, as far as a schema can see.

What they do not agree on is here as well, by name, and told in docs/editors.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from vcpu_scenario.authoring.concrete import Group, Pos, read
from vcpu_scenario.authoring.new import plan
from vcpu_scenario.authoring.template import templates
from vcpu_scenario.language import loads, schema, yaml12
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.source import InvalidScenario

from tests.language.build import EVERYTHING, SMALL

from .client import LanguageServer
from .conftest import ROOT
from .marked import HEAD

pytestmark = pytest.mark.slow  # a language server is asked

FOLDER: Final = ROOT / "scenarios"
PATH: Final = FOLDER / "made.vcpu.yaml"

Place = tuple[int, int]


def texts(folder: str) -> dict[Path, str]:
    found = sorted((ROOT / folder).glob("**/*.vcpu.yaml"))
    return {path: path.read_text(encoding="utf-8") for path in found}


def faults(text: str) -> set[Place]:
    """Where ``scenario check`` has something against the YAML of ``text`` or by its schema."""
    node, found = yaml12.parse(text, str(PATH))
    problems = Problems(found)
    if node is not None:
        schema.check(node, problems)
    return {(each.span.line, each.span.column) for each in problems}


def is_valid(text: str) -> bool:
    try:
        loads(text, PATH)
    except InvalidScenario:
        return False
    return True


def places(server: LanguageServer, found: Mapping[Path, str]) -> dict[Path, set[Place]]:
    """Where the editor has something against each text."""
    return {
        path: {
            (each["range"]["start"]["line"] + 1, each["range"]["start"]["character"] + 1)
            for each in diagnostics
        }
        for path, diagnostics in server.diagnostics(found).items()
    }


def test_good_files_have_no_faults(server: LanguageServer) -> None:
    good = {**texts("scenarios"), **texts("docs"), **texts("runner/vcpu_scenario/authoring")}
    good[PATH] = EVERYTHING
    assert len(good) > 70
    assert {path: found for path, found in places(server, good).items() if found} == {}


def test_a_new_scenario_leads_the_editor_to_its_schema(
    server: LanguageServer, tmp_path: Path
) -> None:
    """In a folder of its own, by its first line alone."""
    good, bad = tmp_path / "new.yaml", tmp_path / "bad.yaml"
    plan(templates()["mmio"], tmp_path / "new.vcpu.yaml", "", [], "").carry_out()
    text = (tmp_path / "new.vcpu.yaml").read_text()
    found = places(server, {good: text, bad: text.replace("tags:", "tegs:")})
    assert found == {good: set(), bad: {(6, 1)}}


def test_bad_files_have_faults_in_both(server: LanguageServer) -> None:
    bad = texts("tests/language/golden")
    found = places(server, bad)
    check = {path: bool(faults(text)) for path, text in bad.items()}
    assert {path.name: bool(found[path]) for path in bad} == {
        path.name: verdict for path, verdict in check.items()
    }
    assert 10 < sum(check.values()) < len(check)


WRONG: Final = {
    "a mapping": "{a: 1}",
    "a list": "[1]",
    "a text": '"no such thing ?"',
    "a number": "17",
    "a fraction": "1.5",
    "a negative number": "-3",
    "a boolean": "true",
    "null": "null",
}

ELSEWHERE: Final = {
    "/devices/rng/replies: a mapping": "the editor also looks at the value of a key that is wrong",
    "/on/0/do/2/write: a mapping": "the editor also names the key that is missing",
    "/expect/0/stops/1: a mapping": "`a` may be meant for the key that is missing",
    "/expect/0/exits/6/mmio/len: misspelt": "the editor shows what `data` lacks at its fields",
}
"""Where the two show the same fault at different places, or one of them shows more."""


def spoilt(text: str) -> Iterator[tuple[str, str]]:
    """``text`` with one key misspelt or one value of another kind, for every key and value."""
    lines = text.split("\n")

    def replaced(start: Pos, end: Pos, new: str) -> str:
        line = lines[start.line]
        changed = line[: start.column] + new + line[end.column :]
        return "\n".join([*lines[: start.line], changed, *lines[start.line + 1 :]])

    def walk(group: Group, path: str) -> Iterator[tuple[str, str]]:
        for number, entry in enumerate(group.entries):
            here = f"{path}/{entry.key.value if entry.key is not None else number}"
            if entry.key is not None:
                name = f"{entry.key.value}q"
                yield f"{here}: misspelt", replaced(entry.key.start, entry.key.end, name)
            start, end = entry.value.start, entry.value.end
            if start.line == end.line:
                for what, value in WRONG.items():
                    yield f"{here}: {what}", replaced(start, end, value)
            if isinstance(entry.value, Group):
                yield from walk(entry.value, here)

    root = read(text).root
    assert isinstance(root, Group)
    return walk(root, "")


def agrees(name: str, check: set[Place], found: set[Place]) -> bool:
    """The editor also names the key that is missing where one is misspelt: for the check that is
    one fault. A mapping may be meant as a value by case: which of its faults comes first is
    another matter for each of them."""
    if name.startswith("/expect/") and name.endswith(": a mapping"):
        return bool(check) == bool(found)
    return check <= found if name.endswith(": misspelt") else check == found


@pytest.mark.parametrize("part", range(4))
def test_one_fault_is_found_by_both_at_the_same_place(part: int, server: LanguageServer) -> None:
    """The whole language, a fault at a time."""
    names = dict(list(spoilt(EVERYTHING))[part::12])
    paths = {FOLDER / f"{n}.vcpu.yaml": name for n, name in enumerate(names)}
    found = places(server, {path: names[name] for path, name in paths.items()})
    check = {path: faults(names[name]) for path, name in paths.items()}
    disagree = {name for path, name in paths.items() if bool(check[path]) != bool(found[path])}
    apart = {name for path, name in paths.items() if not agrees(name, check[path], found[path])}
    assert disagree == set()
    assert apart <= set(ELSEWHERE)
    assert sum(map(bool, check.values())) > 150


ONLY_THE_CHECK: Final = {
    "a label that is not there": f"{SMALL}observe: [x1]\nbefore: [set: {{x1: nowhere}}]\n",
    "a register that is not there": f"{SMALL}observe: [x99]\n",
    "a number that is too large": f"{SMALL}default_reply: 0x1_0000_0000_0000_0000\n",
    "a width of 3": f"{SMALL}expect: [exits: [mmio: {{read: 0, len: 3}}]]\n",
    "slots that overlap": (
        f"{SMALL}memory: [{{at: 0x40000000, size: 1MiB}}, {{at: 0x40001000, size: 4KiB}}]\n"
    ),
    "a range of kernels that is none": f'{SMALL}kernels: "newest"\n',
    "a clause that is never reached": f"{SMALL}expect: [{{exits: []}}, {{exits: []}}]\n",
    "two ways to say what an exit is": f"{SMALL}expect: [exits: [debug: {{step: 0, brk: 0}}]]\n",
    "a guest without code": "title: t\nguest: {}\n",
    "a device without an address": f"{SMALL}devices: {{uart: {{handled_by: userspace}}}}\n",
    "a file that is not there": "title: t\nguest: {binary: nowhere.bin}\n",
    "an instruction that is none": "title: t\nguest: {code: frobnicate x0}\n",
    "a parameter that is not there": f'{SMALL}observe: ["${{width}}"]\n',
    "a parameter of the wrong kind": (
        f'{SMALL}matrix: {{p: [1, many]}}\nlimits: {{exits: "${{p}}"}}\n'
    ),
    "a merge key": f"{SMALL}before: [set: {{<<: {{x1: 1}}}}]\n",
    "a tag of a number": 'title: t\nguest: {words: [!!int "3"]}\n',
    "a second document": f"{SMALL}---\n{SMALL}",
}


@pytest.mark.parametrize("fault", ONLY_THE_CHECK)
def test_some_faults_only_the_check_can_see(fault: str, server: LanguageServer) -> None:
    text = HEAD + ONLY_THE_CHECK[fault]
    assert not is_valid(text)
    assert places(server, {PATH: text}) == {PATH: set()}


ONLY_THE_EDITOR: Final = {
    "brackets that go on in the first column": (
        f"{SMALL}debug: {{single_step: true,\nsoftware_breakpoints: true}}\n"
    ),
}


@pytest.mark.parametrize("fault", ONLY_THE_EDITOR)
def test_some_things_only_the_editor_minds(fault: str, server: LanguageServer) -> None:
    """``scenario fmt`` puts them in order."""
    from vcpu_scenario.authoring.formatting import formatted

    text = HEAD + ONLY_THE_EDITOR[fault]
    assert is_valid(text)
    assert places(server, {PATH: text})[PATH]
    assert places(server, {PATH: formatted(text, PATH)}) == {PATH: set()}
