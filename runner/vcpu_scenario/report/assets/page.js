// The page: filters, keys, theme.

const search = document.getElementById("search");
const verdicts = new Set(Object.keys(VERDICTS));

function refresh() {
  const { cases, rows } = applyFilter(matcher(search.value, verdicts));
  const plural = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
  document.getElementById("shown").textContent = `${plural(cases, "case")} in ${plural(rows, "row")}`;
}

function verdictButtons() {
  const counts = {};
  for (const row of ROWS) for (const cell of row.cells) if (cell) counts[cell.verdict] = (counts[cell.verdict] || 0) + 1;
  for (const [verdict, { mark, style, name, one }] of Object.entries(VERDICTS)) {
    if (!counts[verdict]) continue;
    const toggle = el(
      "button",
      { type: "button", "aria-pressed": "true" },
      el(`span.mark.${style}`, { "aria-hidden": "true" }, mark),
      `${counts[verdict].toLocaleString("en")} ${counts[verdict] === 1 && one ? one : name}`,
    );
    toggle.addEventListener("click", () => {
      const on = toggle.getAttribute("aria-pressed") !== "true";
      toggle.setAttribute("aria-pressed", String(on));
      verdicts[on ? "add" : "delete"](verdict);
      refresh();
    });
    document.getElementById("verdicts").append(toggle);
  }
}

function legend() {
  const used = new Set(ROWS.flatMap((row) => row.cells.filter(Boolean).map((cell) => cell.verdict)));
  const marks = [...used].map((verdict) =>
    el("span", {}, el(`span.mark.${VERDICTS[verdict].style}`, {}, VERDICTS[verdict].mark), VERDICTS[verdict].name),
  );
  document.getElementById("legend").append(...marks, el("span", {}, "One bar: the same exits on each of its kernels"));
}

const KEYS = [
  ["/", "to the filter"],
  ["← → ↑ ↓", "from cell to cell; Home and End in the row, with Ctrl in the matrix"],
  ["Enter", "opens the case"],
  ["n, p", "to the next and the previous case that failed"],
  ["← →", "in a case: the kernel before and after"],
  ["[ ]", "in a case: the scenario before and after"],
  ["Esc", "closes what is open; empties the filter"],
  ["t", "turns the theme: as the system's, light, dark"],
  ["?", "shows these"],
];

function help() {
  const dialog = document.getElementById("help");
  const close = el("button", { type: "button", on: { click: () => dialog.close() } }, "Close");
  const list = KEYS.map(([key, what]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, what)]);
  dialog.replaceChildren(el("h2", { id: "help-title" }, "Keys"), el("dl", {}, list), el("div.sheet-tools", {}, close));
  dialog.showModal();
}

const THEMES = ["auto", "light", "dark"];

function theme(next) {
  const root = document.documentElement;
  if (next === "auto") delete root.dataset.theme;
  else root.dataset.theme = next;
  document.getElementById("theme").textContent = `Theme: ${next}`;
  try {
    localStorage.setItem("vcpu-scenario-theme", next);
  } catch {
    // A page from a file may have no storage.
  }
}

function storedTheme() {
  try {
    return localStorage.getItem("vcpu-scenario-theme");
  } catch {
    return null;
  }
}

function turnTheme() {
  theme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme || "auto") + 1) % THEMES.length]);
}

function goToBad(by) {
  const target = nextBad(sheet.cell || matrix.focus, by);
  if (!target) return;
  if (sheet.cell) openCase(target);
  else focusCell(target);
}

const ANYWHERE = {
  n: () => goToBad(1),
  p: () => goToBad(-1),
  t: turnTheme,
  "?": help,
};

const IN_MATRIX = { ...ANYWHERE, "/": () => search.select() };

const IN_CASE = {
  ...ANYWHERE,
  ArrowLeft: () => turn(0, -1),
  ArrowRight: () => turn(0, 1),
  "[": () => turn(-1, 0),
  "]": () => turn(1, 0),
};

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (document.getElementById("help").open) return;
  if (event.target === search) {
    if (event.key === "Escape" && search.value) {
      search.value = "";
      refresh();
    } else if (event.key === "Enter" || event.key === "ArrowDown") {
      event.preventDefault();
      if (matrix.focus) focusCell(matrix.focus);
    }
    return;
  }
  const action = (sheet.dialog.open ? IN_CASE : IN_MATRIX)[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

function openFromAddress() {
  const match = location.hash.match(/^#case=(.*)$/);
  if (!match) return;
  const id = decodeURIComponent(match[1]);
  const cell = ROWS.flatMap((row) => row.cells).find((one) => one && idOf(one) === id);
  if (cell && cell !== sheet.cell) openCase(cell);
}

theme(THEMES.includes(storedTheme()) ? storedTheme() : "auto");
verdictButtons();
legend();
buildMatrix(openCase);
refresh();
search.addEventListener("input", refresh);
document.getElementById("keys").addEventListener("click", help);
document.getElementById("theme").addEventListener("click", turnTheme);
sheet.dialog.addEventListener("close", closedCase);
document.addEventListener("keydown", onKey);
window.addEventListener("hashchange", openFromAddress);
openFromAddress();
