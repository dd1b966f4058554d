// Elements are made here and nowhere else, of text alone: nothing from a scenario becomes markup.

const DATA = JSON.parse(document.getElementById("data").textContent);

const VERDICTS = {
  fail: { mark: "✗", style: "fail", name: "failed" },
  error: { mark: "!", style: "error", name: "errors", one: "error" },
  "not-modelled": { mark: "N", style: "not-modelled", name: "not modelled" },
  pass: { mark: "", style: "pass", name: "passed" },
  xfail: { mark: "x", style: "xfail", name: "xfailed" },
  skip: { mark: "–", style: "skip-v", name: "skipped" },
};

/** An element: el("p.dim", {title: "..."}, "text", [more]); null children are left out. */
function el(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined));
  return node;
}

const code = (text) => el("code", {}, text);

const badge = (verdict) =>
  el(`span.badge.${VERDICTS[verdict].style}`, {}, `${VERDICTS[verdict].mark} ${verdict.replace("-", " ")}`.trim());
