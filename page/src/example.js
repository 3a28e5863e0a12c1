// An example's page, of train or of test: what it is, what models say, whom it influences.

import { className, copiesOf, core, detailsOf, everything, meta, select } from "./model.js";
import { count, h, number, percent, what, whisker, withInterval } from "./dom.js";
import { picture } from "./picture.js";
import { shownRows, walkThrough } from "./examples.js";
import { decisionButtons } from "./suspects.js";

const LARGE = 260; // pixels of the picture

const WORDS = {
  train: {
    helped: ["Test examples that it helps", "Test examples that models which saw this example get right more often than models which did not: infl, with its 95% interval. Listed is only what stands out so far that, of one example, less than one would by accident. ★ marks discoveries, which stand out among all pairs of the run."],
    harmed: ["Test examples that it harms", "Test examples that models which saw this example get right less often: negative infl."],
  },
  test: {
    helped: ["Training examples that it needs", "Training examples that raise the chance that this test example is got right: infl, with its 95% interval. ★ marks discoveries."],
    harmed: ["Training examples that harm it", "Training examples that lower the chance that this test example is got right."],
  },
};

/** @param {(route: string) => void} go */
export function examplePage(go) {
  const element = h("main", { class: "page example" });
  /** @param {import("./model.js").Split} split @param {number} row */
  async function show(split, row) {
    const details = await detailsOf(split, row);
    if (!shownRows.length) walkThrough(await select(everything())); // whoever came by a link
    const other = split === "train" ? "test" : "train";
    const label = core[`${split}_label`][row];
    const said = meta.says ? core[`${split}_said`]?.[row] ?? label : label;
    element.replaceChildren(
      walk(split, row),
      h("div", { class: "about" },
        h("div", { class: "large" }, picture(split, row, LARGE)),
        h("div", { class: "facts-of" },
          h("h1", {}, h("small", {}, split === "train" ? "training example" : "test example"), " ", details.name),
          h("p", { class: "label" }, "labelled ", h("strong", {}, className(label)),
            said !== label && h("span", { class: "differs" }, ` – held-out models say ${className(said)}`)),
          facts(split, row, details),
          split === "train" && h("div", { class: "decide-line" }, decisionButtons(row)))),
      details.values ? values(details.values) : "",
      h("div", { class: "columns" },
        details.votes ? votes(details.votes, label, split) : "",
        ...["helped", "harmed"].map((kind) => details[kind] ? influences(kind, details[kind], split, other) : ""),
        alike(split, row, details.near)));
    element.querySelector("h1").tabIndex = -1;
    element.querySelector("h1").focus({ preventScroll: true });
  }

  /** Previous and next, in the order of the list. */
  function walk(split, row) {
    const links = [h("a", { href: "#/", class: "back" }, "← all examples")];
    if (split === "train") {
      const place = shownRows.indexOf(row);
      const step = (/** @type {number} */ by, /** @type {string} */ text, /** @type {string} */ key) => {
        const next = place < 0 ? undefined : shownRows[place + by];
        return h("a", next === undefined ? { "aria-disabled": "true" } : { href: `#/train/${next}`, "data-key": key }, text);
      };
      links.push(h("span", { class: "steps" }, step(-1, "previous", "ArrowLeft"),
        place < 0 ? "" : h("span", {}, `${count(place + 1)} of ${count(shownRows.length)}`), step(1, "next", "ArrowRight")));
    }
    return h("nav", { class: "walk", "aria-label": "examples" }, ...links);
  }

  function facts(split, row, details) {
    const rows = [];
    if (split === "train") {
      rows.push(["mem", h("span", { class: "with-whisker" }, withInterval(core.mem[row], core.low[row], core.high[row]),
        whisker(core.mem[row], core.low[row], core.high[row], [-0.2, 1], "mem")),
      "The chance that a model gets it right if it saw it, less the chance if it did not; with the 95% interval."]);
      if (core.other_mem) rows.push([`mem in ${meta.compare.names[1]}`, withInterval(core.other_mem[row], core.other_low[row], core.other_high[row]), "The same in the run compared with."]);
    }
    rows.push([split === "train" ? "held-out accuracy" : "accuracy", percent(core[`${split}_accuracy`][row]),
      split === "train" ? "The share of the models that never saw it that get it right." : "The share of all models that get it right."]);
    if (core.margin && split === "train") rows.push(["held-out margin", number(core.margin[row]), "Mean over models that never saw it of the label's logit less the log-sum-exp of the others: negative where they would rather say another class."]);
    rows.push(["row", String(row), "Its place in the data as loaded."], ["id", details.id, "A hash of its content, by which scores join other tables."]);
    return h("dl", { class: "pairs-of" }, ...rows.flatMap(([name, value, text]) =>
      [h("dt", {}, name, what(name, text)), h("dd", {}, value)]));
  }

  function votes(list, label, split) {
    const models = split === "train" ? "models that never saw it" : "models";
    return h("section", { class: "panel" }, h("h2", {}, `What ${models} say`, what("what models say", "The classes that they name most, and by what share of them.")),
      h("div", { class: "bars" }, ...list.filter((vote) => vote.share > 0).map((vote) => {
        const fill = h("span", { class: vote.label === label ? "fill own" : "fill" });
        fill.style.width = `${100 * vote.share}%`;
        return h("div", { class: "bar" }, h("span", { class: "name" }, className(vote.label), vote.label === label ? h("small", {}, " its label") : ""),
          h("span", { class: "track" }, fill), h("span", { class: "value" }, percent(vote.share)));
      })));
  }

  function influences(kind, list, split, other) {
    const [name, text] = WORDS[split][kind];
    return h("section", { class: `panel influences ${kind}` }, h("h2", {}, name, what(name, text)),
      list.length ? h("ul", {}, ...list.map((link) => h("li", {},
        h("a", { href: `#/${other}/${link.row}`, class: "link" }, picture(other, link.row, 56),
          h("span", { class: "words" }, h("strong", {}, className(core[`${other}_label`][link.row])),
            h("span", {}, withInterval(link.infl, link.low, link.high)),
            whisker(link.infl, link.low, link.high, kind === "helped" ? [-0.2, 1] : [-1, 0.2], kind)),
          link.discovery ? h("span", { class: "star", role: "img", "aria-label": "a discovery", title: "a discovery: it holds after looking at all pairs" }, "★") : ""))))
        : h("p", { class: "none" }, "None that stands out."));
  }

  function alike(split, row, near) {
    const copies = copiesOf(split, row);
    const tile = (/** @type {any} */ of, /** @type {number} */ k, /** @type {string} */ text) =>
      h("a", { href: `#/${of}/${k}`, class: "tile" }, picture(of, k, 72), h("span", {}, className(core[`${of}_label`][k])), h("small", {}, text));
    if (!near && !copies) return "";
    return h("section", { class: "panel" }, h("h2", {}, "What looks like it", what("what looks like it", "Its copies, value for value, and the nearest training examples by the root mean square difference of pixels (in 0 to 1) or of standardised features. The nearest are looked for among candidates by principal components.")),
      h("div", { class: "tiles" },
        ...(copies ? [...copies.train.map((k) => tile("train", k, "same, train")), ...copies.test.map((k) => tile("test", k, "same, test"))] : []),
        ...(near ?? []).map((k) => tile("train", k.row, number(k.distance, 3)))));
  }

  function values(list) {
    return h("section", { class: "panel" }, h("h2", {}, "Values"), h("div", { class: "values" }, h("table", {},
      h("thead", {}, h("tr", {}, ...meta.features.map((/** @type {string} */ name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, h("tr", {}, ...list.map((value) => h("td", {}, String(Number(value.toPrecision(4))))))))));
  }

  return { element, show };
}
