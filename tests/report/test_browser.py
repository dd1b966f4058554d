"""The page in Chromium: what it shows, from the keyboard alone, light and dark."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from vcpu_scenario.report.html import report
from vcpu_scenario.verdict.result import Result

pytest.importorskip("selenium", reason="needs selenium")

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
DRIVER = shutil.which("chromedriver")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None, reason="needs chromium and its chromedriver"
    ),
    pytest.mark.xdist_group("browser"),
]

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1500,1000",
)

HOSTILE_TITLE = '</script><script>alert(1)</script> & "quotes" `ticks` # | ::error::'


class Page:
    """A page that is open in the browser."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def press(self, *keys: str) -> None:
        """Presses one key after the other, wherever the focus is."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return self.one(selector).text

    @property
    def focused(self) -> str:
        """What assistive technology calls the element that has the focus."""
        element = self.driver.switch_to.active_element
        return element.get_attribute("aria-label") or element.text

    @property
    def shown(self) -> str | None:
        """The id of the case that is open, None where none is."""
        return self.text("#case .id") if self.all("#case[open]") else None

    def evaluate(self, script: str) -> Any:
        return self.driver.execute_script(f"return {script}")

    def prefers(self, scheme: str) -> None:
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=DRIVER)
    with webdriver.Chrome(options=options, service=service) as chrome:
        yield chrome


Open = Callable[..., Page]


@pytest.fixture
def open_page(driver: webdriver.Chrome, tmp_path: Path) -> Iterator[Open]:
    """Opens the report on results; at the end nothing may have been complained of."""

    def open_(results: list[Result], *, note: str = "", case: str = "") -> Page:
        path = tmp_path / "report.html"
        path.write_text(report(results, note=note), encoding="utf-8")
        driver.get("about:blank")
        driver.get(f"{path.as_uri()}{f'#case={case}' if case else ''}")
        driver.execute_script("localStorage.clear()")
        return Page(driver)

    yield open_
    assert driver.get_log("browser") == []  # type: ignore[no-untyped-call]


@pytest.fixture
def page(open_page: Open, results: list[Result]) -> Page:
    return open_page(results)


def many(results: list[Result], scenarios: int) -> list[Result]:
    """The results again and again, each time as those of another scenario."""
    out = []
    for number in range(scenarios):
        for result in results:
            case = result.case
            name = f"folder-{number // 20}/scenario-{number}"
            scenario = replace(case.scenario, name=name)
            id_ = case.id.replace(case.scenario.name, name)
            out.append(replace(result, case=replace(case, id=id_, scenario=scenario)))
    return out


def test_every_case_has_a_cell_that_says_its_verdict(page: Page, results: list[Result]) -> None:
    labels = {cell.get_attribute("aria-label") for cell in page.all("#matrix button")}
    assert len(labels) == len(results)
    assert {"fail on 6.12, load, plain", "pass on 6.4, load, plain"} <= labels
    assert "xfail on 5.10, load, plain" in labels


def test_verdicts_have_colours_of_their_own_in_light_and_dark(page: Page) -> None:
    for scheme in ("light", "dark"):
        page.prefers(scheme)
        cells = [
            page.one(f"#matrix button[aria-label^='{verdict} ']")
            for verdict in ("pass", "fail", "error", "skip", "xfail")
        ]
        colours = {cell.value_of_css_property("background-color") for cell in cells}
        assert len(colours) == 5


def test_the_theme_is_the_systems_until_it_is_chosen(page: Page) -> None:
    def dark() -> bool:
        colour = page.one("body").value_of_css_property("background-color")
        return max(map(int, colour.strip("rgba()").split(",")[:3])) < 64

    page.prefers("dark")
    assert dark()
    page.press("t")
    assert page.text("#theme") == "Theme: light"
    assert not dark()
    page.press("t")
    page.prefers("light")
    assert dark()
    page.press("t")
    assert page.text("#theme") == "Theme: auto"
    assert not dark()


def test_nothing_is_fetched(page: Page) -> None:
    page.press("n", Keys.ENTER)
    assert page.shown is not None
    assert page.evaluate("performance.getEntriesByType('resource').length") == 0


def test_hostile_text_is_text(page: Page) -> None:
    page.one("#matrix button[aria-label^='fail on 5.10, hostile']").click()
    assert page.text("#case-title") == HOSTILE_TITLE
    assert page.evaluate("document.scripts.length") == 2
    assert page.all("#case b b") == []
    assert not page.all("#case a[href^='javascript']")


def test_the_matrix_is_walked_with_the_arrow_keys(page: Page) -> None:
    page.press("/", Keys.ENTER)
    assert page.focused == "error on 5.10, hostile[imm=7], plain"
    page.press(Keys.ARROW_RIGHT)
    assert page.focused == "pass on 6.12, hostile[imm=7], plain"
    page.press(Keys.ARROW_RIGHT)
    assert page.focused == "pass on 6.12, hostile[imm=7], plain"
    page.press(Keys.ARROW_DOWN)
    assert page.focused == "fail on 6.12, hostile[imm=8], plain"
    page.press(Keys.ARROW_DOWN, Keys.HOME)
    assert page.focused == "fail on 4.18, load, plain"
    page.press(Keys.ARROW_UP)
    assert page.focused == "fail on 5.10, hostile[imm=8], plain"


def test_tab_reaches_the_matrix_once_and_leaves_it(page: Page) -> None:
    page.press("/")
    seen = []
    for _ in range(12):
        page.press(Keys.TAB)
        seen.append(page.focused)
        if seen[-1] == "error on 5.10, hostile[imm=7], plain":
            break
    toggles = ["6 failed", "1 error", "1 not modelled", "2 passed", "1 xfailed", "2 skipped"]
    assert [name.partition("\n")[2] or name for name in seen[:6]] == toggles
    assert seen[-1] == "error on 5.10, hostile[imm=7], plain"
    page.press(Keys.TAB)
    assert not page.focused.endswith("plain")


def test_a_case_opens_and_closes_and_the_focus_comes_back(page: Page) -> None:
    page.press("/", Keys.ENTER, Keys.ARROW_DOWN, Keys.ENTER)
    assert page.shown == "mixed/hostile[imm=8]@5.10/plain"
    assert page.focused == "fail on 5.10"
    assert page.evaluate("document.querySelector('#case').contains(document.activeElement)")
    page.press(Keys.ESCAPE)
    assert page.shown is None
    assert page.focused == "fail on 5.10, hostile[imm=8], plain"


def test_within_a_case_the_arrows_lead_to_its_neighbours(page: Page) -> None:
    page.press("/", Keys.ENTER, Keys.ENTER)
    page.press("]", "]")
    assert page.shown == "mixed/load@5.10/plain"
    page.press(Keys.ARROW_RIGHT)
    assert page.shown == "mixed/load@6.4/plain"
    page.press(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert page.shown == "mixed/load@4.18/plain"
    page.press(Keys.ARROW_LEFT, "[")
    assert page.shown == "mixed/hostile[imm=8]@5.10/plain"


def test_n_and_p_go_round_what_failed(page: Page, results: list[Result]) -> None:
    bad = [r.case.id for r in results if r.verdict in ("fail", "error", "not-modelled")]
    page.press("/", Keys.ENTER, Keys.ENTER)
    seen = [page.shown]
    for _ in bad[1:]:
        page.press("n")
        seen.append(page.shown)
    assert sorted(map(str, seen)) == sorted(bad)
    page.press("n")
    assert page.shown == seen[0]
    page.press("p")
    assert page.shown == seen[-1]


def test_a_filter_leaves_what_fits_and_says_how_much(page: Page) -> None:
    assert page.text("#shown") == "13 cases in 5 rows"
    page.press("/")
    page.press("load @6.12")
    assert page.text("#shown") == "2 cases in 2 rows"
    page.press(" -qemu")
    assert page.text("#shown") == "1 case in 1 row"
    page.press(Keys.ENTER)
    assert page.focused == "fail on 6.12, load, plain"
    page.press("/", Keys.ESCAPE)
    assert page.text("#shown") == "13 cases in 5 rows"


@pytest.mark.parametrize("word", ["step_exit_faked", "single-step", "emulates", "EXTRA:"])
def test_a_filter_finds_rules_tags_titles_and_differences(page: Page, word: str) -> None:
    page.press("/")
    page.press(f"{word} @4.18 plain")
    assert page.text("#shown") == "1 case in 1 row"


def test_verdicts_can_be_left_out(page: Page) -> None:
    for toggle in page.all("#verdicts button"):
        if not toggle.text.endswith("xfailed"):
            toggle.send_keys(Keys.SPACE)
    assert page.text("#shown") == "1 case in 1 row"
    assert [b.get_attribute("aria-pressed") for b in page.all("#verdicts button")].count(
        "true"
    ) == 1


def test_the_ladder_has_exits_code_registers_rules_and_commits(page: Page) -> None:
    page.one("#matrix button[aria-label='fail on 6.12, load, plain']").click()
    rung = page.one("#exit-2")
    vmm, kvm, guest = (
        "\n".join(lane.text for lane in rung.find_elements(By.CSS_SELECTOR, f".lane.{name}"))
        for name in ("vmm", "kvm", "guest")
    )
    assert "mmio.data = 0x90" in vmm
    assert "debug exit, step at next" in vmm
    assert "completes the access" in kvm
    assert "hsr 0xca000022: software step, ISV=0: nothing was executed" in kvm
    assert 'pc_adjusted_at_entry\ndoes what it does.\n0123456789ab ("KVM: arm64: A subj' in kvm
    assert "x1=0x90" in guest
    assert "ldr w1, [x0, #0x18]" in page.text("#exit-1 .lane.back.guest")
    link = rung.find_element(By.CSS_SELECTOR, ".commit a")
    assert link.get_attribute("href") == "https://git.kernel.org/linus/0123456789ab"


def test_what_was_expected_stands_beside_what_came(page: Page) -> None:
    page.one("#matrix button[aria-label='fail on 6.12, load, plain']").click()
    differing = [row.text for row in page.all("#exit-1 tr.differs")]
    assert differing == ["len 8 4 ✗"]
    assert "✗ nothing was expected here" in page.text("#exit-2 .beside summary")
    assert page.text("#exit-3 .beside summary").startswith(
        "✓ as expected: debug exit, step at done"
    )


def test_a_known_failure_shows_its_reason_and_link(page: Page) -> None:
    page.one("#matrix button[aria-label='xfail on 5.10, load, plain']").click()
    assert page.text(".known").startswith("Known to fail: a step is lost")
    link = page.one(".known a").get_attribute("href")
    assert link == "https://lore.kernel.org/r/87k20bxm13.fsf@linaro.org"


def test_an_address_leads_to_its_case(open_page: Open, results: list[Result]) -> None:
    page = open_page(results, case="mixed%2Fload%406.12%2Fplain")
    assert page.shown == "mixed/load@6.12/plain"
    page.press(Keys.ARROW_LEFT)
    assert "mixed%2Fload%406.4%2Fplain" in page.driver.current_url


def test_why_the_run_is_not_whole_stands_on_top(open_page: Open, results: list[Result]) -> None:
    page = open_page(results, note="interrupted: 3 of 20 cases were not run")
    assert page.text("[role=alert]") == "interrupted: 3 of 20 cases were not run"


def test_a_report_on_nothing_opens(open_page: Open) -> None:
    page = open_page([], note="no case is selected")
    assert page.text("#shown") == "0 cases in 0 rows"
    page.press("n", "/", Keys.ENTER)


def test_of_two_thousand_cases_only_what_is_looked_at_is_made(
    open_page: Open, results: list[Result]
) -> None:
    # Under one name, two scenarios' cases must not be the same.
    results = [result for result in results if result.verdict != "not-modelled"]
    page = open_page(many(results, 200))
    assert page.text("#shown") == f"{200 * len(results):,} cases in 800 rows"
    assert 0 < len(page.all("#matrix button")) < 200 * len(results) / 4
    assert page.evaluate("document.querySelector('#case').childElementCount") == 0
    page.press("/", Keys.ENTER, Keys.CONTROL + Keys.END)
    assert page.evaluate("document.activeElement.closest('.row').dataset.row") == "799"
    page.press(Keys.ENTER)
    assert page.shown is not None
    assert page.shown.startswith("folder-9/scenario-199")


def test_an_independent_checker_finds_no_barrier(open_page: Open, results: list[Result]) -> None:
    axe = pytest.importorskip("axe_selenium_python", reason="needs axe-selenium-python")
    for scheme in ("light", "dark"):
        page = open_page(results, note="interrupted")
        page.prefers(scheme)
        checker = axe.Axe(page.driver)
        checker.inject()
        for keys in ((), ("n", Keys.ENTER), ("n", "n"), (Keys.ESCAPE, "?")):
            page.press(*keys)
            found = checker.run()["violations"]
            assert found == [], checker.report(found)
