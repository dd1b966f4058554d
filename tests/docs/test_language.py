"""docs/language.md holds the examples as they are run, and the reference as the schema has it.

./test.sh --golden     brings it up to date
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vcpu_scenario.api import run
from vcpu_scenario.assembly.cache import cached
from vcpu_scenario.authoring.formatting import formatted
from vcpu_scenario.authoring.reference import reference
from vcpu_scenario.authoring.template import MODELINE
from vcpu_scenario.cli import main
from vcpu_scenario.language import load
from vcpu_scenario.language.schema import scenario_schema

from tests import goldenfiles

from .markdown import anchors, filled, regions

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "language.md"
EXAMPLES = {
    path.name.removesuffix(".vcpu.yaml"): path
    for path in sorted((DOCS / "examples").glob("*.vcpu.yaml"))
}


def shown(path: Path) -> str:
    """An example as the page shows it: without the line that is for editors."""
    text = path.read_text(encoding="utf-8")
    first, _, rest = text.partition("\n")
    assert first.startswith(MODELINE)
    return f"```yaml\n{rest}```\n"


def test_the_page_is_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    parts = {f"example {name}": shown(path) for name, path in EXAMPLES.items()}
    fresh = filled(text, {**parts, "reference": f"\n{reference(3)}\n"})
    if goldenfiles.are_renewed():
        PAGE.write_text(fresh, encoding="utf-8")
        return
    assert text == fresh, "./test.sh --golden brings docs/language.md up to date"


def test_every_example_is_shown() -> None:
    assert sorted(regions(PAGE.read_text())) == sorted(
        [*(f"example {name}" for name in EXAMPLES), "reference"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_passes_on_every_kernel_that_it_is_for(name: str) -> None:
    results = run(EXAMPLES[name])
    assert len(results) >= 26
    assert {result.case.id: result.verdict for result in results if result.verdict != "pass"} == {}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_needs_no_assembler(name: str) -> None:
    path = EXAMPLES[name]
    assert all(cached(path, source, base) for source, base in load(path).sources)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_in_the_style(name: str) -> None:
    text = EXAMPLES[name].read_text(encoding="utf-8")
    assert formatted(text, EXAMPLES[name]) == text


def test_the_examples_use_most_of_the_language() -> None:
    """What the prose tells of is shown as well."""
    text = "".join(path.read_text() for path in EXAMPLES.values())
    for key in (
        *("matrix", "memory", "words", "symbols", "registers", "devices", "debug", "observe"),
        *("before", "then", "never", "stops", "final", "vmm", "kernels", "any", "repeat"),
        *("output", "eventfd", "ring", "readonly", "contents", "pl011", "scripted", "vgic-v3"),
    ):
        assert key in text, key


def _described(found: Any) -> Iterator[tuple[str, str]]:
    for key, below in found.get("properties", {}).items():
        yield key, below["description"]
    for below in found.values():
        for each in below if isinstance(below, list) else [below]:
            if isinstance(each, dict):
                yield from _described(each)


def test_the_reference_has_every_key_with_its_description() -> None:
    text = reference()
    found = set(_described(scenario_schema()))
    assert len(found) > 100
    for key, description in found:
        assert re.search(rf"(?m)^\| `{key}`.* \| {re.escape(description)} \|$", text), key


def test_the_command_prints_the_reference(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--format", "markdown"]) == 0
    assert capsys.readouterr().out == reference()


def test_no_two_headings_of_the_reference_are_called_alike() -> None:
    found = anchors(reference())
    assert len(found) == len(set(found)) > 30
