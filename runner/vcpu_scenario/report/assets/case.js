// The sheet with one case.

const sheet = { dialog: document.getElementById("case"), cell: null };

function openCase(cell) {
  const detail = DATA.details[cell.detail];
  sheet.cell = cell;
  sheet.dialog.replaceChildren(sheetHead(cell, detail), sheetBody(cell, detail));
  if (!sheet.dialog.open) sheet.dialog.showModal();
  sheet.dialog.querySelector(".strip [aria-current]").focus({ preventScroll: true });
  setTabStop(cell);
  history.replaceState(null, "", `#case=${encodeURIComponent(idOf(cell))}`);
}

function closedCase() {
  history.replaceState(null, "", location.pathname + location.search);
  if (sheet.cell) focusCell(sheet.cell);
  sheet.cell = null;
}

function sheetHead(cell, detail) {
  const { scenario } = cell.row;
  const close = el("button", { type: "button", on: { click: () => sheet.dialog.close() } }, "Close ", el("kbd", {}, "Esc"));
  return el(
    "div.sheet-head",
    {},
    el("div.sheet-tools", {}, badge(cell.verdict), el("h2", { id: "case-title" }, scenario.title), el("span.spring"), close),
    el("div.dim", {}, el("code.id", {}, idOf(cell)), detail.at ? ` — expected at ${detail.at}` : null),
    strip(cell),
  );
}

/** The row's kernels, as one bar for those that behave alike. */
function strip(cell) {
  const { cells } = cell.row;
  const buttons = cells.map((other, column) => {
    if (!other) return null;
    const next = cells[column + 1];
    const first = joins(other, cells[column - 1]) ? "" : ".first";
    const last = next && joins(next, other) ? "" : ".last";
    const { style, mark } = VERDICTS[other.verdict];
    return el(
      `button.${style}${first}${last}`,
      {
        type: "button",
        "aria-current": other === cell ? "true" : null,
        "aria-label": `${other.verdict} on ${DATA.kernels[column]}`,
        tabindex: other === cell ? 0 : -1,
        on: { click: () => openCase(other) },
      },
      `${mark}${mark ? " " : ""}${DATA.kernels[column]}`,
    );
  });
  return el("div.strip", { role: "group", "aria-label": "Kernels; the arrow keys lead to the next" }, buttons);
}

function sheetBody(cell, detail) {
  const { scenario } = cell.row;
  const command = `scenario explain ${quoted(scenario.path)} --kernel ${DATA.kernels[cell.column]} --vmm ${cell.row.vmm}`;
  const known = cell.verdict === "xfail" ? ".known-failure" : "";
  return el(
    `div.sheet-body${known}`,
    { tabindex: 0, role: "region", "aria-label": "The case" },
    introduction(cell, detail),
    detail.mismatches ? differences(detail) : null,
    detail.rungs ? ladder(detail) : null,
    detail.cut ? el("p.dim", {}, detail.cut) : null,
    detail.final ? finalState(detail) : null,
    detail.stops ? stops(detail.stops) : null,
    scenario.origin.length ? el("section", {}, el("h3", {}, "From"), scenario.origin.map(line)) : null,
    el("section", {}, el("h3", {}, "Again"), el("code.command", {}, command)),
  );
}

const quoted = (path) => (/^[\w./@+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`);

function introduction(cell, detail) {
  const { about } = cell.row.scenario;
  const parts = [
    about ? el("p.about", {}, about) : null,
    detail.about ? el("p.about", {}, `On these kernels: ${detail.about}`) : null,
    detail.xfail ? knownToFail(detail.xfail) : null,
    detail.reason && cell.verdict !== "xfail" ? el("p", {}, detail.reason) : null,
    detail.error ? el("p", {}, `The kernel refused the set-up: ${detail.error}`) : null,
    detail.came ? el("p.dim", {}, detail.came) : null,
    detail.detail ? el("details", {}, el("summary", {}, "Traceback"), el("pre", {}, detail.detail)) : null,
  ].filter(Boolean);
  return parts.length ? el("section", {}, parts) : null;
}

function knownToFail({ reason, link }) {
  const to = el("a", { href: link, rel: "noreferrer", target: "_blank" }, link);
  return el("p.known", {}, `Known to fail: ${reason} (`, to, ")");
}

function differences(detail) {
  const found = detail.mismatches.map((mismatch, number) => difference(mismatch, number === 0));
  return el("section", {}, el("h3", {}, found.length === 1 ? "Difference" : `${found.length} differences`), found);
}

function difference(mismatch, open) {
  const [shown, caret] = mismatch.excerpt || [];
  const guest = mismatch.guest && `guest: ${mismatch.guest[0]}: ${mismatch.guest[1]}`;
  const notes = [...(mismatch.notes || []), guest].filter(Boolean);
  const at = mismatch.exit === undefined ? null : el("a", { href: `#exit-${mismatch.exit}`, on: { click: toExit } }, `exit ${mismatch.exit}`);
  return el(
    "details.difference",
    { open },
    el("summary", {}, mismatch.message),
    el("div.dim", {}, code(mismatch.at), at ? " · " : null, at),
    shown ? el("pre", {}, shown, "\n", el("span.caret", {}, caret)) : null,
    notes.length ? el("ul", {}, notes.map((note) => el("li", {}, note))) : null,
    (mismatch.rules || []).map((name) => rule(name)),
  );
}

function toExit(event) {
  event.preventDefault();
  const target = document.getElementById(event.currentTarget.getAttribute("href").slice(1));
  if (target) target.scrollIntoView({ block: "center" });
}

function finalState(detail) {
  return el("section", {}, el("h3", {}, "At the end"), table(["what", "expected", "found"], detail.final, "(any)"));
}

function stops({ told = [], expected, findings = [] }) {
  const went = told.map((words, number) => {
    const wrong = findings.filter((finding) => finding.stop === number);
    return el("li", {}, words, wrong.map((finding) => el("div.finding", {}, finding.words)));
  });
  const asked = expected && el("div", {}, el("b", {}, "should be told"), el("ol", { start: 0 }, expected.map((words) => el("li", {}, words))));
  return el(
    "section",
    {},
    el("h3", {}, "A debugger attached to the VMM"),
    el("div.stops", {}, asked, el("div", {}, el("b", {}, "is told"), went.length ? el("ol", { start: 0 }, went) : el("p.dim", {}, "nothing"))),
  );
}

/** Leads to another case: its neighbour by kernel, or the same kernel in the next row shown. */
function turn(rows, columns) {
  const { cell } = sheet;
  if (columns) {
    const inRow = cell.row.cells.filter(Boolean);
    const other = inRow[inRow.indexOf(cell) + columns];
    if (other) openCase(other);
    return;
  }
  const shown = matrix.rows.filter((entry) => !entry.node.hidden);
  const entry = shown[shown.findIndex((one) => one.row === cell.row) + rows];
  if (entry) openCase(nearest(entry.row, cell.column));
}
