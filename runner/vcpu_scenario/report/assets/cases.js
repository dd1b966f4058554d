// Rows, cells and what a search finds in them.

/** A cell: {row, column, verdict, detail, shape}; `row.cells` has null where there is no case. */
const ROWS = DATA.rows.map(([scenario, name, vmm, cells], number) => {
  const row = { number, scenario: DATA.scenarios[scenario], name, vmm };
  row.cells = cells.map((cell, column) =>
    cell && { row, column, verdict: cell[0], detail: cell[1], shape: cell[2] },
  );
  return row;
});

const idOf = (cell) =>
  `${cell.row.scenario.name}${cell.row.name}@${DATA.kernels[cell.column]}/${cell.row.vmm}`;

const isBad = (cell) => ["fail", "error", "not-modelled"].includes(cell.verdict);

const variantOf = (column) => DATA.kernels[column].split("-")[1];

/** Whether two neighbours are one bar: kernels of a kind, with the same exits and verdict. */
const joins = (cell, before) =>
  before &&
  before.shape === cell.shape &&
  before.verdict === cell.verdict &&
  variantOf(before.column) === variantOf(cell.column);

const haystacks = {
  row: new Map(),
  detail: new Map(),
};

function memo(map, key, make) {
  if (!map.has(key)) map.set(key, make().toLowerCase());
  return map.get(key);
}

function rowText(row) {
  const { name, title, tags } = row.scenario;
  return memo(haystacks.row, row, () => [name, row.name, row.vmm, title, ...tags].join(" "));
}

function detailText(number) {
  return memo(haystacks.detail, number, () => {
    const detail = DATA.details[number];
    const rungs = detail.rungs || [];
    const rules = rungs.flatMap((rung) => rung.rules || []);
    const heads = rungs.map((rung) => rung.head || "");
    const wrong = (detail.mismatches || []).flatMap((found) => [found.message, ...(found.rules || [])]);
    return [...new Set(rules), ...heads, ...wrong, detail.reason || ""].join(" ");
  });
}

/** Whether a cell fits: every word is there, no -word is, and @ names its kernel. */
function matcher(query, verdicts) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (cell, word) => {
    if (word.startsWith("@")) return DATA.kernels[cell.column] === word.slice(1);
    return rowText(cell.row).includes(word) || detailText(cell.detail).includes(word);
  };
  return (cell) =>
    verdicts.has(cell.verdict) &&
    words.every((word) =>
      word.length > 1 && word.startsWith("-") ? !has(cell, word.slice(1)) : has(cell, word),
    );
}
