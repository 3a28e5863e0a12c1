// The first page: the summary, the tail, and all examples, filtered by what is clicked.

import { classBars, density, histogram } from "./charts.js";
import { count, debounce, h, number, percent, what, whisker } from "./dom.js";
import { List } from "./list.js";
import { className, core, detailsOf, everything, meta, predicate, select, sortKeys } from "./model.js";
import { picture } from "./picture.js";

const THUMBNAIL = 72; // pixels of a picture in the gallery

/** Where "previous" and "next" of an example's page lead. @type {ArrayLike<number>} */
export let shownRows = [];
/** @param {ArrayLike<number>} rows */
export const walkThrough = (rows) => { shownRows = rows; };

/** @param {(route: string) => void} go */
export function examplesPage(go) {
  let query = everything();
  let table = !meta.pictures;
  const least = Math.min(0, core.mem.reduce((a, b) => (b < a ? b : a), 0));

  const change = (/** @type {Partial<typeof query>} */ part) => {
    query = { ...query, ...part };
    refresh();
  };

  // The tail
  const tail = histogram({
    values: core.mem, from: Math.floor(least * 20) / 20, name: "mem", threshold: meta.thresholds.mem,
    onbrush: (mem) => change({ mem }),
  });
  const plane = density({
    x: core.mem, y: core.train_accuracy, fromX: Math.floor(least * 20) / 20, names: ["mem", "held-out accuracy"],
    onbrush: (mem, accuracy) => { tail.move(mem); change({ mem, accuracy }); },
  });
  const perClass = meta.classes.map((/** @type {string} */ name, /** @type {number} */ label) => ({ label, name, part: 0, of: 0 }));
  core.train_label.forEach((/** @type {number} */ label, /** @type {number} */ row) => {
    perClass[label].of++;
    if (core.memorized[row]) perClass[label].part++;
  });
  const bars = classBars([...perClass].sort((a, b) => b.part - a.part), (label) =>
    change({ label: query.label === label ? null : label }));
  const panel = (/** @type {string} */ name, /** @type {string} */ text, /** @type {Node} */ chart, kind = "") =>
    h("figure", { class: `panel ${kind}` }, h("figcaption", {}, name, what(name, text)), chart);

  // What is asked for
  const search = h("input", {
    type: "search", id: "search", placeholder: "name, id, class or #row", "aria-label": "search by name, id, class or #row", "aria-keyshortcuts": "/",
    oninput: debounce(() => change({ text: search.value })),
  });
  const choice = (/** @type {string} */ label, /** @type {[string, string][]} */ options, /** @type {(value: string) => void} */ onchoose) => {
    const element = h("select", { "aria-label": label, onchange: () => onchoose(element.value) },
      ...options.map(([value, text]) => h("option", { value }, text)));
    return { element, label: h("label", {}, h("span", {}, label), element) };
  };
  const classes = [["", "all"], ...meta.classes.map((/** @type {string} */ name, /** @type {number} */ k) => [String(k), name])];
  const asNumber = (/** @type {string} */ text) => (text === "" ? null : Number(text));
  const byClass = choice("class", classes, (value) => change({ label: asNumber(value) }));
  const bySaid = meta.says ? choice("held-out models say", classes, (value) => change({ said: asNumber(value) })) : null;
  const byCopies = choice("duplicates",
    [["", "all"], ["none", "none"], ["1", "twice in train"], ["2", "also in test"], ...(meta.near ? [["4", "near-duplicates"]] : [])],
    (duplicate) => change({ duplicate }));
  const bySort = choice("sorted by", Object.entries(sortKeys()).map(([key, [name]]) => [key, name]), (sort) => change({ sort }));
  const direction = h("button", {
    type: "button", class: "quiet", title: "turn the order round",
    onclick: () => change({ descending: !query.descending }),
  }, "↓ highest first");
  const range = (/** @type {"mem" | "accuracy"} */ part, /** @type {string} */ label) => {
    const ends = ["from", "to"].map((end, k) => h("input", {
      type: "number", step: "0.05", min: "-1", max: "1", "aria-label": `${label} ${end}`, placeholder: end,
      onchange: () => {
        const [from, to] = ends.map((input) => asNumber(input.value));
        change({ [part]: from === null && to === null ? null : [from ?? -1, to ?? 1] });
        if (part === "mem") tail.move(query.mem);
      },
    }));
    return { ends, label: h("div", { class: "range", role: "group", "aria-label": label }, h("span", {}, label), ...ends) };
  };
  const byMem = range("mem", "mem"), byAccuracy = range("accuracy", "held-out accuracy");
  const byWidth = h("input", {
    type: "number", step: "0.05", min: "0", max: "2", placeholder: "any", "aria-label": "interval at most this wide",
    onchange: () => change({ width: asNumber(byWidth.value) }),
  });
  const clear = h("button", {
    type: "button", class: "quiet", onclick: () => {
      query = everything();
      search.value = byWidth.value = "";
      byCopies.element.value = "";
      if (bySaid) bySaid.element.value = "";
      tail.move(null);
      refresh();
    },
  }, "clear");
  const looks = h("div", { class: "switch", role: "group", "aria-label": "look" },
    ...["gallery", "table"].map((name) => h("button", {
      type: "button", "data-look": name, onclick: () => { table = name === "table"; refresh(); },
    }, name)));
  const found = h("output", { class: "found", "aria-live": "polite" });
  const more = h("details", { class: "more" }, h("summary", {}, "more filters"),
    h("div", { class: "controls" }, byMem.label, byAccuracy.label,
      h("label", {}, h("span", {}, "interval at most this wide"), byWidth), bySaid?.label, byCopies.label));
  const list = new List("training examples");

  /** Columns of the table: name, class, text or node. */
  const head = h("div", { class: "line head", "aria-hidden": "true" },
    ...["", "row", "name", "class", "mem, 95% interval", "", "held-out accuracy", meta.says ? "held-out models say" : ""].map((name) => h("span", {}, name)));

  const card = (/** @type {number} */ row) => h("div", {
    class: "card", "aria-label": `row ${row}, ${className(core.train_label[row])}, mem ${number(core.mem[row])}`,
  }, picture("train", row, THUMBNAIL), h("span", { class: "class-name" }, className(core.train_label[row])),
  h("span", { class: "mem" }, number(core.mem[row])));

  const line = (/** @type {number} */ row) => {
    const name = h("span", { class: "name" }, "…");
    detailsOf("train", row).then((details) => { name.textContent = details.name; });
    const differs = meta.says && core.train_said[row] !== core.train_label[row];
    return h("div", { class: "line", "aria-label": `row ${row}, ${className(core.train_label[row])}, mem ${number(core.mem[row])}` },
      h("span", {}, picture("train", row, 32)), h("span", {}, String(row)), name,
      h("span", {}, className(core.train_label[row])), h("span", {}, number(core.mem[row])),
      whisker(core.mem[row], core.low[row], core.high[row], [-0.2, 1], "mem"),
      h("span", {}, percent(core.train_accuracy[row])),
      meta.says ? h("span", { class: differs ? "differs" : "" }, `${className(core.train_said[row])} ${percent(core.train_share[row])}`) : "");
  };

  let turn = 0;
  async function refresh() {
    const mine = ++turn;
    const [rows, forTail, forPlane] = await Promise.all([
      select(query), predicate(query, "mem"), predicate(query)]);
    if (mine !== turn) return; // asked for something else meanwhile
    walkThrough(rows);
    tail.show(forTail);
    plane.show(forPlane);
    bars.show(query.label);
    byClass.element.value = query.label === null ? "" : String(query.label);
    bySort.element.value = query.sort;
    for (const [control, part] of /** @type {const} */ ([[byMem, "mem"], [byAccuracy, "accuracy"]]))
      control.ends.forEach((end, k) => { end.value = query[part] ? query[part][k].toFixed(2) : ""; });
    direction.textContent = query.descending ? "↓ highest first" : "↑ lowest first";
    found.textContent = `${count(rows.length)} of ${count(meta.sizes.train)} training examples`;
    for (const button of looks.children) button.setAttribute("aria-pressed", String((button.dataset.look === "table") === table));
    head.hidden = !table;
    list.element.classList.toggle("table", table);
    list.show({
      items: rows, cell: table ? line : card, open: (row) => go(`train/${row}`),
      ...(table ? { width: null, height: 44 } : { width: THUMBNAIL + 16, height: THUMBNAIL + 44, gap: 8 }),
    });
  }

  const facts = h("dl", { class: "facts" }, ...meta.facts.map((/** @type {any} */ fact) =>
    h("div", { class: "fact" }, h("dt", {}, fact.name, what(fact.name, fact.what)),
      h("dd", {}, fact.value), h("dd", { class: "interval" }, fact.range))));
  const element = h("main", { class: "page" },
    h("h1", { class: "unseen" }, meta.title),
    ...meta.warnings.map((/** @type {string} */ text) => h("p", { class: "warning", role: "note" }, h("strong", {}, "Warning "), text)),
    h("section", { class: "summary", "aria-label": "summary" },
      h("div", { class: "lead" }, ...meta.lead.map((/** @type {string} */ text) => h("p", {}, text))), facts),
    h("section", { class: "panels", "aria-label": "the tail" },
      panel("The tail", "How many training examples have which mem, on a logarithmic scale. Most are not memorized; the tail to the right is. Drag over it to see those examples below; click beside it for all. The dashed line is the threshold.", tail.element, "wide"),
      panel("mem and held-out accuracy", "Darker cells hold more examples. Held-out accuracy: the share of models that never saw an example and get it right. Low and not memorized: too hard to fit, or a wrong label that models refuse. Drag to choose.", plane.element),
      panel("Memorized, by class", "How many examples of each class are memorized. Click one to see only that class.", bars.element)),
    h("section", { class: "examples", "aria-label": "examples" },
      h("div", { class: "toolbar" },
        h("div", { class: "controls" }, search, byClass.label, bySort.label, direction, looks, clear, found), more),
      head, list.element));
  refresh();
  return { element, show: () => { list.measure(); list.draw(); }, search, list };
}
