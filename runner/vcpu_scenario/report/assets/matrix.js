// The matrix: a row for each scenario, filled when it comes into view.

const matrix = {
  root: document.getElementById("matrix"),
  rows: [], // {row, node, fits: [bool], filled}
  folders: [], // {node, rows}
  focus: null, // the cell that Tab reaches
};

function buildMatrix(open) {
  const { root } = matrix;
  const longest = Math.max(20, ...ROWS.map((row) => shortName(row).length + (manyVmms(row) ? 8 : 0)));
  root.style.setProperty("--kernels", DATA.kernels.length);
  root.style.setProperty("--names", `min(${Math.ceil(longest * 7) + 40}px, 400px, 40vw)`);
  root.setAttribute("aria-rowcount", ROWS.length + 1);
  root.setAttribute("aria-colcount", DATA.kernels.length + 1);
  root.append(headings());
  let folder = null;
  for (const row of ROWS) {
    if (folder === null || folder.path !== folderOf(row)) {
      folder = { path: folderOf(row), rows: [] };
      folder.node = el("div.folder", { role: "row" }, el("span", { role: "rowheader" }, folder.path || "here"));
      matrix.folders.push(folder);
      root.append(folder.node);
    }
    const entry = { row, node: rowNode(row), fits: [], filled: false };
    matrix.rows.push(entry);
    folder.rows.push(entry);
    root.append(entry.node);
  }
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) open(cellOf(button));
  });
  root.addEventListener("keydown", moveFocus);
  root.addEventListener("focusin", (event) => {
    const button = event.target.closest("button");
    if (button) setTabStop(cellOf(button));
  });
  const observer = new IntersectionObserver(
    (seen) => seen.filter((one) => one.isIntersecting).forEach((one) => fill(entryOf(one.target))),
    { root, rootMargin: "600px" },
  );
  matrix.rows.forEach((entry) => observer.observe(entry.node));
}

const manyVmms = (row) => ROWS.some((other) => other.scenario === row.scenario && other.vmm !== row.vmm);
const folderOf = (row) => row.scenario.name.split("/").slice(0, -1).join("/");
const shortName = (row) => row.scenario.name.split("/").pop() + row.name;
const entryOf = (node) => matrix.rows[Number(node.dataset.row)];
const cellOf = (button) =>
  ROWS[Number(button.dataset.row)].cells[Number(button.dataset.column)];

function headings() {
  const kernels = DATA.kernels.map((kernel) => el("div.kernel", { role: "columnheader" }, kernel));
  const first = el("div.name", { role: "columnheader" }, "scenario");
  return el("div.row.kernels", { role: "row" }, first, kernels);
}

function rowNode(row) {
  const name = el("span", { title: `${row.scenario.title}\n${row.scenario.name}${row.name}` }, shortName(row));
  const vmm = manyVmms(row) ? el("span.vmm-name", {}, row.vmm) : null;
  const head = el("div.name", { role: "rowheader" }, name, vmm);
  const place = { role: "row", "data-row": row.number, "aria-rowindex": row.number + 2 };
  return el("div.row", place, head);
}

function fill(entry) {
  if (entry.filled) return;
  entry.filled = true;
  const { cells } = entry.row;
  entry.node.append(
    ...cells.map((cell, column) => {
      if (!cell) return el("div.cell", { role: "gridcell" });
      const node = el("div.cell", { role: "gridcell", "aria-colindex": column + 2 }, button(cell));
      if (!joins(cell, cells[column - 1])) node.classList.add("first");
      const next = cells[column + 1];
      if (!next || !joins(next, cell)) node.classList.add("last");
      return node;
    }),
  );
  showFits(entry);
}

function button(cell) {
  const { mark, style } = VERDICTS[cell.verdict];
  const said = `${cell.verdict} on ${DATA.kernels[cell.column]}`;
  return el(
    `button.${style}`,
    {
      type: "button",
      tabindex: cell === matrix.focus ? 0 : -1,
      "aria-label": `${said}, ${shortName(cell.row)}, ${cell.row.vmm}`,
      title: said,
      "data-row": cell.row.number,
      "data-column": cell.column,
    },
    mark,
  );
}

function buttonOf(cell) {
  const entry = matrix.rows[cell.row.number];
  fill(entry);
  return entry.node.querySelector(`button[data-column="${cell.column}"]`);
}

function setTabStop(cell) {
  if (matrix.focus && matrix.rows[matrix.focus.row.number].filled) buttonOf(matrix.focus).tabIndex = -1;
  matrix.focus = cell;
  if (cell) buttonOf(cell).tabIndex = 0;
}

function focusCell(cell) {
  setTabStop(cell);
  const target = buttonOf(cell);
  target.focus({ preventScroll: true });
  target.scrollIntoView({ block: "nearest", inline: "nearest" });
}

/** The cells that fit, shown in their rows: all but those that the filter leaves out. */
const shownCells = () =>
  matrix.rows.flatMap(({ row, fits }) => row.cells.filter((cell, column) => cell && fits[column]));

function applyFilter(fitsCell) {
  let cases = 0;
  let rows = 0;
  for (const entry of matrix.rows) {
    entry.fits = entry.row.cells.map((cell) => Boolean(cell) && fitsCell(cell));
    const count = entry.fits.filter(Boolean).length;
    entry.node.hidden = count === 0;
    cases += count;
    rows += count > 0;
    if (entry.filled) showFits(entry);
  }
  for (const folder of matrix.folders) folder.node.hidden = folder.rows.every((entry) => entry.node.hidden);
  const stop = matrix.focus;
  if (!stop || !matrix.rows[stop.row.number].fits[stop.column]) setTabStop(shownCells()[0] || null);
  return { cases, rows };
}

function showFits(entry) {
  entry.node.querySelectorAll("button").forEach((node) => {
    node.parentNode.classList.toggle("out", !entry.fits[Number(node.dataset.column)]);
  });
}

const STEPS = {
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  PageUp: [-12, 0],
  PageDown: [12, 0],
};

function moveFocus(event) {
  if (!event.target.closest("button") || event.altKey || event.metaKey) return;
  const cell = cellOf(event.target.closest("button"));
  const target = targetOf(event, cell);
  if (target === undefined) return;
  event.preventDefault();
  if (target) focusCell(target);
}

/** The cell that a key leads to; undefined for keys that lead nowhere. */
function targetOf(event, cell) {
  const inRow = cell.row.cells.filter(Boolean);
  if (event.key === "Home") return event.ctrlKey ? shownCells()[0] : inRow[0];
  if (event.key === "End") return event.ctrlKey ? shownCells().pop() : inRow.pop();
  const step = STEPS[event.key];
  if (!step) return undefined;
  const [down, right] = step;
  if (right) {
    const at = inRow.indexOf(cell) + right;
    return inRow[Math.max(0, Math.min(inRow.length - 1, at))];
  }
  const rows = matrix.rows.filter((entry) => !entry.node.hidden);
  const here = rows.findIndex((entry) => entry.row === cell.row);
  const entry = rows[Math.max(0, Math.min(rows.length - 1, here + down))];
  return nearest(entry.row, cell.column);
}

function nearest(row, column) {
  const cells = row.cells.filter(Boolean);
  return cells.reduce((best, cell) =>
    Math.abs(cell.column - column) < Math.abs(best.column - column) ? cell : best,
  );
}

/** The next case that failed, from `cell` on or from the start, in the direction `by`. */
function nextBad(cell, by) {
  const bad = shownCells().filter(isBad);
  if (!bad.length) return null;
  if (!cell) return by > 0 ? bad[0] : bad[bad.length - 1];
  const order = (one) => one.row.number * DATA.kernels.length + one.column;
  const after = bad.filter((one) => (order(one) - order(cell)) * by > 0);
  if (!after.length) return by > 0 ? bad[0] : bad[bad.length - 1];
  return by > 0 ? after[0] : after[after.length - 1];
}
