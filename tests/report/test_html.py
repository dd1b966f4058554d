"""The page as text: what stands in it, whatever a browser makes of it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tracemalloc
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from msgspec.structs import replace
from vcpu_scenario.report import html_case
from vcpu_scenario.report.html import Document, document, report
from vcpu_scenario.verdict.result import Result

from .conftest import run


class Page(HTMLParser):
    """Every tag with its attributes, and the text within scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, str]] = []
        self.within = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.within = tag

    def handle_endtag(self, tag: str) -> None:
        self.within = ""

    def handle_data(self, data: str) -> None:
        if self.within in ("script", "style"):
            self.raw.append((self.within, data))


@pytest.mark.slow
def test_the_page_names_no_other_file(results: list[Result]) -> None:
    page = Page(report(results))
    fetched = [attrs for _, attrs in page.tags if {"src", "href", "srcset"} & attrs.keys()]
    assert fetched == [{"class": "skip", "href": "#matrix"}]
    style = dict(page.raw)["style"]
    assert not re.search(r"@import|url\(", style)


@pytest.mark.slow
def test_only_the_pages_own_script_and_style_may_run(results: list[Result]) -> None:
    page = Page(report(results))
    policy = next(attrs["content"] for _, attrs in page.tags if "http-equiv" in attrs) or ""
    for kind, text in (page.raw[0], page.raw[-1]):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


@pytest.mark.slow
def test_nothing_that_a_scenario_says_is_markup(results: list[Result]) -> None:
    page = Page(report(results, note="<b>interrupted</b>"))
    tags = [tag for tag, _ in page.tags]
    assert tags.count("script") == 2
    assert "b" not in tags


@pytest.mark.slow
def test_the_data_is_what_the_document_says(results: list[Result]) -> None:
    page = Page(report(results))
    data = next(text for kind, text in page.raw if text.startswith("{"))
    assert json.loads(data) == document(results)


@pytest.mark.slow
def test_without_scripts_the_text_report_is_there(results: list[Result]) -> None:
    text = report(results, note="interrupted: 3 not run")
    fallback = text.partition("<noscript>")[2].partition("</noscript>")[0]
    assert "FAILED mixed/load@6.12/plain - field len: expected 8, found 4" in fallback
    assert "interrupted: 3 not run" in fallback


@pytest.mark.slow
def test_each_case_is_in_its_row_and_column_once(results: list[Result]) -> None:
    told = document(results)
    found = {}
    for scenario, added, vmm, cells in told["rows"]:
        for column, cell in enumerate(cells):
            if cell is not None:
                name = told["scenarios"][scenario]["name"]
                found[f"{name}{added}@{told['kernels'][column]}/{vmm}"] = cell[0]
    assert found == {result.case.id: result.verdict for result in results}


def test_kernels_are_in_order_and_variants_come_after_them() -> None:
    results = run("variant", "6.12", "5.0-v2trap", "5.0", "6.12-v2trap", "5.10")
    assert document(results)["kernels"] == ["5.0", "5.10", "6.12", "5.0-v2trap", "6.12-v2trap"]


def test_cases_that_came_out_alike_share_their_details() -> None:
    told = document(run("mixed", "5.11", "5.12", "5.13"))
    ((_, _, _, cells), *_) = [row for row in told["rows"] if row[2] == "plain"]
    assert len({detail for _, detail, _ in cells}) == 1
    assert len({alike for _, _, alike in cells}) == 1


def test_kernels_that_behave_differently_are_told_apart_even_where_both_pass() -> None:
    told = document(run("mixed", "5.18", "5.19"))
    ((_, _, _, cells), *_) = [row for row in told["rows"] if row[2] == "plain"]
    assert [verdict for verdict, _, _ in cells] == ["pass", "pass"]
    assert len({alike for _, _, alike in cells}) == 2


def detail_of(results: list[Result], id_: str) -> html_case.Data:
    (result,) = [result for result in results if result.case.id == id_]
    return html_case.case_data(result)


@pytest.mark.slow
def test_an_exit_that_did_not_come_stands_where_it_was_expected(results: list[Result]) -> None:
    rungs = detail_of(results, "mixed/load@5.10/plain")["rungs"]
    assert [rung.get("n", "missing") for rung in rungs] == [0, 1, "missing", 2, 3]
    assert rungs[2]["expected"] == "debug exit, step at next"
    assert ["x1", "0x90", None, False] in rungs[2]["fields"]


@pytest.mark.slow
def test_a_field_that_differs_stands_beside_what_was_expected(results: list[Result]) -> None:
    rungs = detail_of(results, "mixed/load@6.12/plain")["rungs"]
    assert ["len", "8", "4", False] in rungs[1]["fields"]
    assert ["pc", None, "poll (0x40000004)", True] in rungs[1]["fields"]
    assert [rung["ok"] for rung in rungs] == [True, False, False, True, True]
    assert "expected" not in rungs[2]


@pytest.mark.slow
def test_the_final_state_stands_beside_what_was_expected(results: list[Result]) -> None:
    assert detail_of(results, "mixed/load@6.4/plain")["final"] == [["final x2", "0x1", "0x1", True]]
    assert detail_of(results, "mixed/load@6.12/plain")["final"] == [
        ["final x2", "0x2", "0x1", False],
        ["output of uart", "'x'", "nothing", False],
    ]


@pytest.mark.slow
def test_a_very_long_ladder_is_cut_and_says_so(
    results: list[Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html_case, "MOST_RUNGS", 2)
    rungs = detail_of(results, "mixed/load@6.12/plain")["rungs"]
    assert [rung.get("n") for rung in rungs] == [0, 1, None]
    assert rungs[2] == {"more": 3}


@pytest.mark.slow
def test_every_rule_that_is_named_is_explained(results: list[Result]) -> None:
    told = document(results)
    named = {
        name
        for detail in told["details"]
        for part in (*detail.get("rungs", ()), *detail.get("mismatches", ()))
        for name in part.get("rules", ())
    }
    assert named == told["rules"].keys()
    assert named


@pytest.mark.slow
def test_what_was_taken_costs_little_memory(results: list[Result]) -> None:
    """As many results as there are: of each the page keeps what stands in it, packed."""
    one = next(result for result in results if result.verdict == "fail")

    def others(count: int) -> Iterator[Result]:
        for number in range(count):
            told = (f"difference {number}.{which}" for which in range(50))
            mismatches = tuple(replace(one.mismatches[0], message=text) for text in told)
            scenario = replace(one.case.scenario, name=f"scenario-{number}")
            id_ = f"scenario-{number}@{one.case.kernel}/{one.case.vmm}"
            case = replace(one.case, scenario=scenario, id=id_)
            yield replace(one, case=case, mismatches=mismatches)

    tracemalloc.start()
    try:
        page = Document(others(1000))
        kept, _ = tracemalloc.get_traced_memory()
        written = sum(len(piece) for piece in page.pieces())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert written > 4_000 * 1000
    assert kept < written / 2
    assert most < kept + (1 << 20)
