"""Which files and which cases a command line is about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from vcpu_scenario.errors import UsageError
from vcpu_scenario.language import loads
from vcpu_scenario.language.permission import granting
from vcpu_scenario.running.paths import find
from vcpu_scenario.running.select import Selection, load_all

TEXT = """\
title: t
guest: {words: [0xd503201f]}
vmm: [plain, qemu]
tags: [one]
expect:
  - kernels: ["6.1", "6.12", "5.0-v2trap"]
    exits: []
"""


def write(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TEXT)


def found(*paths: Path) -> list[str]:
    return [str(file) for file, _ in find([str(path) for path in paths])]


def test_a_folder_gives_all_scenarios_below_it_sorted(tmp_path: Path) -> None:
    names = ["b/z.vcpu.yaml", "b/a.vcpu.yaml", "a/x.vcpu.yaml"]
    write(*(tmp_path / name for name in names))
    (tmp_path / "b/other.yaml").write_text("")
    assert found(tmp_path) == [str(tmp_path / name) for name in sorted(names)]


def test_hidden_folders_and_files_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / ".venv/a.vcpu.yaml", tmp_path / ".b.vcpu.yaml", tmp_path / "c.vcpu.yaml")
    assert found(tmp_path) == [str(tmp_path / "c.vcpu.yaml")]


def test_a_file_named_twice_comes_once(tmp_path: Path) -> None:
    write(tmp_path / "a.vcpu.yaml")
    link = tmp_path / "b.vcpu.yaml"
    link.symlink_to(tmp_path / "a.vcpu.yaml")
    assert found(tmp_path / "a.vcpu.yaml", tmp_path) == [str(tmp_path / "a.vcpu.yaml")]


def test_a_link_to_the_folder_itself_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "a/b.vcpu.yaml")
    (tmp_path / "a/again").symlink_to(tmp_path)
    assert len(found(tmp_path)) == 1


def test_a_link_out_of_a_folder_is_refused_unless_it_is_named(tmp_path: Path) -> None:
    """What is wrong with a file is shown with its lines: it must not be one of somebody else."""
    write(tmp_path / "inside/a.vcpu.yaml", tmp_path / "outside/a.vcpu.yaml")
    link = tmp_path / "inside/b.vcpu.yaml"
    link.symlink_to("../outside/a.vcpu.yaml")
    with pytest.raises(UsageError, match="is a link out of the folder; name it to use it"):
        find([str(tmp_path / "inside")])
    assert found(link) == [str(link)]
    assert len(found(tmp_path)) == 2
    with granting([tmp_path / "outside"]):
        assert len(found(tmp_path / "inside")) == 2


def test_a_path_that_gives_nothing_beside_others_is_named(tmp_path: Path) -> None:
    write(tmp_path / "good/a.vcpu.yaml")
    for name in ("empty", "other"):
        (tmp_path / name).mkdir()
    paths = [str(tmp_path / name) for name in ("empty", "good", "other", "empty")]
    with pytest.raises(UsageError) as caught:
        find(paths)
    assert str(caught.value).splitlines() == [
        f"no scenario (*.vcpu.yaml) was found in {tmp_path}/{name}" for name in ("empty", "other")
    ]
    assert len(found(tmp_path / "good", tmp_path / "good/a.vcpu.yaml")) == 1


def test_what_is_passed_over_on_the_way_is_told(tmp_path: Path) -> None:
    write(tmp_path / "in/a.vcpu.yaml", tmp_path / "in/.b/b.vcpu.yaml", tmp_path / "out/c.vcpu.yaml")
    write(tmp_path / "in/sub/d.vcpu.yml")
    for name, target in (("sub/out", "../../out"), ("hidden", ".b"), ("up", "."), ("gone", "x")):
        (tmp_path / "in" / name).symlink_to(target)
    told: list[str] = []
    files = [str(file) for file, _ in find([str(tmp_path / "in")], told.append)]
    assert files == [f"{tmp_path}/in/a.vcpu.yaml"]
    link = "it is a link to a folder; name it to use it"
    assert told == [
        f"{tmp_path}/in/hidden is passed over: {link}",
        f"{tmp_path}/in/sub/d.vcpu.yml is passed over: the name of a scenario ends in .vcpu.yaml",
        f"{tmp_path}/in/sub/out is passed over: {link}",
    ]
    assert len(found(tmp_path / "in/sub/out")) == 1


def test_every_missing_path_is_named(tmp_path: Path) -> None:
    write(tmp_path / "load.vcpu.yaml")
    with pytest.raises(UsageError) as caught:
        find([str(tmp_path / "laod.vcpu.yaml"), str(tmp_path), str(tmp_path / "x/y")])
    assert str(caught.value).splitlines() == [
        f"no such file or folder: {tmp_path}/laod.vcpu.yaml; did you mean `load.vcpu.yaml`?",
        f"no such file or folder: {tmp_path}/x/y",
    ]


def test_a_folder_that_cannot_be_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(UsageError, match=r"cannot read the folder .*: Permission denied"):
        find([str(tmp_path)])


def names(*paths: Path | str) -> list[str]:
    scenarios, diagnostics = load_all(find([str(path) for path in paths]))
    assert not diagnostics
    return [scenario.name for scenario in scenarios]


def test_ids_are_the_same_however_a_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "step/load.vcpu.yaml")
    monkeypatch.chdir(tmp_path)
    ways: list[str | Path] = [
        ".",
        "step",
        "step/load.vcpu.yaml",
        str(tmp_path),
        tmp_path / "step",
        "./step",
        "step/../step",
    ]
    assert {name for way in ways for name in names(way)} == {"step/load"}


def test_ids_elsewhere_are_relative_to_the_folder_that_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "there/step/load.vcpu.yaml")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert names(tmp_path / "there") == ["step/load"]
    assert names("../there") == ["step/load"]
    assert names("../there/step/load.vcpu.yaml") == ["load"]


def test_files_that_would_share_an_id_get_their_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a/load.vcpu.yaml", tmp_path / "b/load.vcpu.yaml")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert names("../a", "../b") == ["../a/load", "../b/load"]


SCENARIO = loads(TEXT, "s/t.vcpu.yaml", "")


def ids(**selection: Any) -> list[str]:
    return [case.id for case in Selection(**selection).cases([SCENARIO])]


def test_without_a_selection_all_cases_with_an_expectation_are_selected() -> None:
    assert ids() == [
        "s/t@5.0-v2trap/plain",
        "s/t@5.0-v2trap/qemu",
        "s/t@6.1/plain",
        "s/t@6.1/qemu",
        "s/t@6.12/plain",
        "s/t@6.12/qemu",
    ]


def test_a_kernel_is_selected_as_it_is_named() -> None:
    assert ids(kernels=("6.12.107",), vmms=("plain",)) == ["s/t@6.12.107/plain"]


def test_a_range_selects_the_known_kernels_in_it() -> None:
    assert ids(kernels=("6.0..6.2",), vmms=("plain",)) == [
        "s/t@6.0/plain",
        "s/t@6.1/plain",
        "s/t@6.2/plain",
    ]


def test_a_kernel_named_twice_is_selected_once() -> None:
    assert ids(kernels=("6.1", "6.1", "6.1..6.1"), vmms=("plain",)) == ["s/t@6.1/plain"]


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"kernels": ("2.6",)}, "--kernel: kernel 2.6 is older than 4.14"),
        ({"kernels": ("six",)}, "--kernel: `six` is not a kernel release"),
        ({"kernels": (">=9.0",)}, "--kernel: no known kernel is in `>=9.0`"),
        ({"vmms": ("qemo",)}, "--vmm: no VMM is called `qemo`.*did you mean `qemu`"),
        ({"keyword": "a b"}, "-k: expected `and`, `or` or the end"),
    ],
)
def test_a_selection_that_cannot_be_is_an_error(selection: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ids(**selection)


def test_tags_select_scenarios_with_any_of_them() -> None:
    assert ids(tags=("two",)) == []
    assert len(ids(tags=("two", "one"))) == 6


def test_a_keyword_selects_by_id() -> None:
    assert ids(keyword="qemu and not v2trap and not 6.12") == ["s/t@6.1/qemu"]
