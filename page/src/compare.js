// Two runs of the same data: where they agree, and what only one memorizes.

import { density, lines } from "./charts.js";
import { count, h, number, what } from "./dom.js";
import { List } from "./list.js";
import { className, core, meta } from "./model.js";
import { picture } from "./picture.js";
import { walkThrough } from "./examples.js";

/** @param {(route: string) => void} go */
export function comparePage(go) {
  const { names, mem, infl } = meta.compare;
  const at = meta.thresholds.mem;
  const list = new List("examples that the runs judge differently");
  const found = h("output", { class: "found", "aria-live": "polite" });
  /** @type {[[number, number], [number, number]] | null} */
  let chosen = null;
  const least = Math.min(0, ...[core.mem, core.other_mem].map((values) => values.reduce((a, b) => (b < a ? b : a), 0)));
  const from = Math.floor(least * 20) / 20;
  const plane = density({
    x: core.mem, y: core.other_mem, fromX: from, fromY: from, names: [`mem, ${names[0]}`, `mem, ${names[1]}`], diagonal: true,
    onbrush: (x, y) => { chosen = x && y ? [x, y] : null; which.value = "all"; show(); },
  });
  plane.show(() => true);
  const tests = {
    first: (k) => core.memorized[k] && !core.other_memorized[k],
    second: (k) => core.other_mem[k] >= at && core.mem[k] < at,
    both: (k) => core.memorized[k] && core.other_memorized[k],
    sure: (k) => core.low[k] > core.other_high[k] || core.other_low[k] > core.high[k],
    all: () => true,
  };
  const which = h("select", { "aria-label": "which examples", onchange: () => { chosen = null; show(); } }, ...[
    ["first", `only ${names[0]} memorizes`], ["second", `only ${names[1]} memorizes`], ["both", "both memorize"],
    ["sure", "intervals apart"], ["all", "all"]].map(([value, text]) => h("option", { value }, text)));
  const card = (/** @type {number} */ row) => h("div", {
    class: "card", "aria-label": `row ${row}, ${className(core.train_label[row])}, mem ${number(core.mem[row])} and ${number(core.other_mem[row])}`,
  }, picture("train", row, 72), h("span", { class: "mem" }, `${number(core.mem[row])} | ${number(core.other_mem[row])}`),
  h("span", { class: "class-name" }, className(core.train_label[row])));

  function show() {
    const inside = (/** @type {number} */ k) => !chosen || (core.mem[k] >= chosen[0][0] && core.mem[k] <= chosen[0][1]
      && core.other_mem[k] >= chosen[1][0] && core.other_mem[k] <= chosen[1][1]);
    const rows = Uint32Array.from(core.mem.keys()).filter((k) => tests[which.value](k) && inside(k));
    rows.sort((a, b) => Math.abs(core.mem[b] - core.other_mem[b]) - Math.abs(core.mem[a] - core.other_mem[a]) || a - b);
    walkThrough(rows);
    found.textContent = `${count(rows.length)} examples, the most different first`;
    list.show({ items: rows, cell: card, width: 104, height: 116, gap: 8, open: (row) => go(`train/${row}`) });
  }
  const curves = (/** @type {string} */ name, /** @type {any} */ agreement) => lines(name, agreement.thresholds,
    [{ name: "J, shared", values: agreement.jaccard }, { name: "D, apart", values: agreement.distance }]);
  return {
    element: h("main", { class: "page" }, h("h1", {}, "Two runs of the same data"),
      h("p", { class: "lead" }, `${names[0]} and ${names[1]}.`, what("two runs", "J: of the examples (or pairs) that either run puts at or above a threshold, the share that both do. D: how far their estimates are apart there, on average. Feldman & Zhang 2020, Figure 7.")),
      h("section", { class: "panels three" }, h("figure", { class: "panel" }, h("figcaption", {}, "mem against mem"), plane.element),
        h("div", { class: "panel" }, curves("memorization", mem)), h("div", { class: "panel" }, curves("influence", infl))),
      h("div", { class: "toolbar" }, h("div", { class: "controls" }, which, found)), list.element),
    show,
  };
}
