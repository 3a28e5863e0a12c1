// All pairs of high influence, as pairs of pictures.

import { count, h, number, what, whisker } from "./dom.js";
import { List } from "./list.js";
import { className, core, meta } from "./model.js";
import { picture } from "./picture.js";

/** @param {(route: string) => void} go */
export function pairsPage(go) {
  const list = new List("pairs");
  const found = h("output", { class: "found", "aria-live": "polite" });
  const same = (/** @type {number} */ k) => core.train_label[core.pair_train[k]] === core.test_label[core.pair_test[k]];
  const which = h("select", { "aria-label": "which pairs", onchange: () => show() },
    ...[["", "all"], ["same", "of one class"], ["cross", "of two classes"], ["star", "discoveries"]].map(([value, text]) => h("option", { value }, text)));
  const byClass = h("select", { "aria-label": "class of the training example", onchange: () => show() },
    h("option", { value: "" }, "every class"), ...meta.classes.map((/** @type {string} */ name, /** @type {number} */ k) => h("option", { value: k }, name)));

  const card = (/** @type {number} */ k) => {
    const [train, test] = [core.pair_train[k], core.pair_test[k]];
    const side = (/** @type {any} */ split, /** @type {number} */ row) => h("a", { href: `#/${split}/${row}` },
      picture(split, row, 84), h("span", {}, className(core[`${split}_label`][row])), h("small", {}, split));
    const [infl, low, high] = [core.pair_infl[k], core.pair_low[k], core.pair_high[k]];
    return h("div", { class: `pair ${same(k) ? "" : "cross"}`, "aria-label": `train ${train}, test ${test}, infl ${number(core.pair_infl[k])}` },
      h("div", { class: "both" }, side("train", train), h("span", { class: "arrow", "aria-hidden": "true" }, "→"), side("test", test)),
      h("div", { class: "words" }, h("strong", {}, `infl ${number(infl)}`), h("span", {}, `[${number(low)}, ${number(high)}]`),
        core.pair_discovery[k] ? h("span", { class: "star", title: "a discovery", role: "img", "aria-label": "a discovery" }, "★") : ""),
      whisker(infl, low, high, [-0.2, 1], "helped"));
  };

  function show() {
    const items = Uint32Array.from(core.pair_train.keys()).filter((k) =>
      (which.value === "" || (which.value === "star" ? core.pair_discovery[k] : same(k) === (which.value === "same")))
      && (byClass.value === "" || core.train_label[core.pair_train[k]] === Number(byClass.value)));
    found.textContent = `${count(items.length)} of ${count(meta.pairs)} pairs`;
    list.show({ items, cell: card, width: 236, height: 186, gap: 12, open: (k) => go(`train/${core.pair_train[k]}`) });
  }
  const { mem, infl } = meta.thresholds;
  return {
    element: h("main", { class: "page" }, h("h1", {}, "Pairs of high influence"),
      h("p", { class: "lead" }, `Training examples with mem ≥ ${mem}, each with a test example that models get right more often by at least ${infl} if they saw it. The strongest come first.`,
        meta.sameClass ? " Pairs of two classes were too many to list." : "",
        what("pairs", "infl with its 95% interval. ★ marks discoveries: of all of these among all pairs, 5% are expected to be false.")),
      h("div", { class: "toolbar" }, h("div", { class: "controls" }, which, byClass, found)),
      meta.pairs ? "" : h("p", { class: "none" }, "There are none at these thresholds: see --mem-threshold and --infl-threshold."), list.element),
    show,
  };
}
