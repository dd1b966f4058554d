// One case: the ladder VMM | KVM | guest, with what was expected beside what came.

function ladder(detail) {
  const told = new Set();
  const lanes = ["", "VMM", "KVM", "guest"].map((name) => el("div", {}, name));
  const rungs = detail.rungs.map((rung) => rungNode(rung, told));
  return el("section", { "aria-label": "Ladder" }, el("div.lanes", { "aria-hidden": "true" }, lanes), el("ol.ladder", {}, rungs));
}

function rungNode(rung, told) {
  if (rung.more) return el("li.rung", {}, el("div.beside.dim", {}, `and ${rung.more} more exits`));
  if (rung.n === undefined) return missing(rung);
  const bad = rung.ok === false || rung.wrong;
  return el(
    `li.rung${bad ? ".bad" : ""}`,
    { id: `exit-${rung.n}` },
    el("div.n", { title: `exit ${rung.n}` }, String(rung.n)),
    el("div.lane.vmm", {}, (rung.vmm || []).map(line), go("KVM_RUN")),
    el("div.lane.kvm", {}, kvmIn(rung)),
    el("div.lane.guest", {}, guestIn(rung)),
    el("div.lane.back.vmm", {}, vmmOut(rung)),
    el("div.lane.back.kvm", {}, kvmOut(rung, told)),
    el("div.lane.back.guest", {}, guestOut(rung)),
    beside(rung),
  );
}

const line = (text) => el("div", {}, text);
const arrowhead = (sign) => el("i", { "aria-hidden": "true" }, sign);
const go = (text) => el("div.arrow", {}, el("span", {}, text), arrowhead("▶"));
const back = (what, text) => el(`div.arrow.from${what}`, {}, el("span", {}, text), arrowhead("◀"));

function kvmIn(rung) {
  const words = rung.kvm || [];
  const enters = words.length && words[words.length - 1].startsWith("enters");
  const lines = (enters ? words.slice(0, -1) : words).map(line);
  return enters ? [...lines, go(words[words.length - 1])] : lines;
}

function guestIn(rung) {
  const lines = (rung.run || []).map(instruction);
  if (rung.from) lines.push(line(`runs from ${rung.from}`));
  if (rung.run_more) lines.push(line(`and ${rung.run_more} more`));
  if (!lines.length && !rung.held) lines.push(el("div.dim", {}, "executes nothing"));
  return lines;
}

function instruction([label, words, source]) {
  const from = source ? el("span.line", { title: "line of the scenario" }, `:${source}`) : null;
  return el("div.ins", {}, el("span.label", {}, label), el("span", {}, words), from);
}

function vmmOut(rung) {
  return [
    back(".head", rung.head),
    (rung.told || []).map((reason) => el("div.dim", {}, `tells its debugger: ${reason}`)),
    (rung.findings || []).map((words) => el("div.finding", {}, words)),
  ];
}

function kvmOut(rung, told) {
  const entered = (rung.kvm || []).some((words) => words.startsWith("enters"));
  const words = rung.hsr ? `hsr ${rung.hsr}` : entered ? "the guest exits" : null;
  const came = words && (entered ? back("", words) : line(words));
  return [came, (rung.rules || []).map((name) => rule(name, told))];
}

function guestOut(rung) {
  const held = rung.held ? [instruction(rung.held), el("div.dim", {}, "◄ exits here")] : null;
  const regs = (rung.regs || []).map(([name, value, changed]) =>
    el(`span.reg${changed ? ".changed" : ""}`, { title: changed ? "changed since the exit before" : "unchanged" }, `${name}=${value}`),
  );
  return [held, regs.length ? el("div.regs", {}, regs) : null];
}

/** A rule, open where it is first told: `told` remembers which were. Without it, closed. */
function rule(name, told) {
  const about = DATA.rules[name];
  if (!about) return el("div", {}, "rule ", code(name));
  const open = Boolean(told) && !told.has(name);
  if (told) told.add(name);
  const commits = about.commits.map(([id, subject, since]) =>
    el("div.commit", {}, el("a", { href: `https://git.kernel.org/linus/${id}`, rel: "noreferrer", target: "_blank" }, code(id)), ` ("${subject}") in ${since}`),
  );
  return el(
    "details.rule",
    { open },
    el("summary", {}, "rule ", code(name)),
    line(about.summary),
    commits,
    el("div.dim", {}, about.evidence),
  );
}

function missing(rung) {
  return el(
    "li.rung.bad",
    {},
    el("div.n", { title: "did not come" }, "–"),
    el("div.beside", {}, el("div.no", {}, `✗ expected, and did not come: ${rung.expected}`), fieldTable(rung)),
  );
}

function beside(rung) {
  if (rung.ok === undefined) {
    return el("details.beside", {}, el("summary", {}, "not checked by this clause"), fieldTable(rung));
  }
  if (rung.ok) {
    const summary = el("summary", {}, el("span.ok", {}, "✓ as expected"), `: ${rung.expected}`, where(rung));
    return el("details.beside", {}, summary, fieldTable(rung));
  }
  const words = rung.expected ? `✗ expected ${rung.expected}` : "✗ nothing was expected here";
  const summary = el("summary", {}, el("span.no", {}, words), where(rung));
  return el("details.beside", { open: true }, summary, fieldTable(rung));
}

const where = (rung) => (rung.line ? ` (line ${rung.line})` : null);

function fieldTable(rung) {
  return table(["field", "expected", "came"], rung.fields || [], rung.expected ? "(any)" : "—");
}

/** Rows of [name, expected or null, found or null, ok]. */
function table(head, rows, unasked) {
  const cells = rows.map(([name, expected, found, ok]) =>
    el(
      `tr${ok ? "" : ".differs"}${expected === null ? ".unasked" : ""}`,
      {},
      el("th", { scope: "row" }, name),
      el("td", {}, expected === null ? unasked : expected),
      el("td", {}, found === null ? "nothing" : found, ok ? null : " ✗"),
    ),
  );
  return el(
    "table",
    {},
    el("colgroup", {}, el("col.field"), el("col"), el("col")),
    el("thead", {}, el("tr", {}, head.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, cells),
  );
}
