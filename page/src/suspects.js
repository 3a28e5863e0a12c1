// Labels that held-out models contradict, to be decided one by one.

import { decide, decided, DECISIONS, asCSV, download, forgetAll, onDecision, takeCSV } from "./decisions.js";
import { count, h, number, percent, what } from "./dom.js";
import { List } from "./list.js";
import { className, core, detailsOf, meta } from "./model.js";
import { picture } from "./picture.js";
import { walkThrough } from "./examples.js";

/** Buttons that say what is decided of an example. @param {number} row */
export function decisionButtons(row) {
  const buttons = DECISIONS.map(([key, name, text], k) => h("button", {
    type: "button", title: `${text} (${k + 1})`, "data-decision": key, "data-key": String(k + 1),
    onclick: () => { decide(row, decided.get(row)?.decision === key ? null : key); update(); },
  }, name));
  const label = h("select", { "aria-label": `new label of row ${row}`, onchange: () => decide(row, "wrong", label.value) },
    h("option", { value: "" }, "leave it out"),
    ...meta.classes.map((/** @type {string} */ name) => h("option", { value: name }, `→ ${name}`)));
  const update = () => {
    const now = decided.get(row);
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.decision === now?.decision));
    label.hidden = now?.decision !== "wrong";
    label.value = now?.newLabel ?? "";
  };
  update();
  return h("div", { class: "decide", role: "group", "aria-label": `decide on row ${row}` }, ...buttons, label);
}

/** @param {(route: string) => void} go */
export function suspectsPage(go) {
  const list = new List("suspected labels");
  const status = h("output", { class: "found", "aria-live": "polite" });
  const message = h("p", { class: "note", role: "status" });
  const take = h("input", {
    type: "file", accept: ".csv", class: "hidden", "aria-label": "take decisions back", onchange: async () => {
      try {
        message.textContent = `${count(await takeCSV(await take.files[0].text()))} decisions taken back.`;
      } catch (error) {
        message.textContent = /** @type {Error} */ (error).message;
      }
      take.value = "";
      open();
    },
  });
  const only = h("select", { onchange: () => open(), "aria-label": "which" },
    ...[["", "all suspects"], ["open", "not decided yet"], ["decided", "decided, suspects or not"]].map(([value, text]) => h("option", { value }, text)));
  const order = core.margin ? "the mean margin of models that never saw them" : "how few of the models that never saw them are right";

  const line = (/** @type {number} */ row, /** @type {number} */ index) => {
    const name = h("span", { class: "name" }, "…");
    detailsOf("train", row).then((details) => { name.textContent = details.name; });
    const votes = meta.says ? [h("strong", {}, className(core.train_said[row])), h("small", {}, `${percent(core.train_share[row])} of held-out models`)] : [];
    return h("div", { class: "suspect", "aria-label": `suspect ${index + 1}, row ${row}` },
      picture("train", row, 64),
      h("div", { class: "who" }, h("span", {}, `${index + 1}. `, name), h("span", {}, "labelled ", h("strong", {}, className(core.train_label[row])))),
      h("div", { class: "say" }, ...(votes.length ? ["held-out models say ", ...votes] : [`right in ${percent(core.train_accuracy[row])}`])),
      h("div", { class: "numbers" }, h("span", {}, `mem ${number(core.mem[row])}`), core.margin ? h("span", {}, `margin ${number(core.margin[row], 1)}`) : ""),
      decisionButtons(row));
  };

  function open() {
    const rows = only.value === "decided" ? [...decided.keys()].sort((a, b) => a - b)
      : Array.from(core.suspects).filter((row) => only.value === "" || !decided.has(row));
    walkThrough(rows);
    update();
    list.show({ items: rows, cell: line, width: null, height: innerWidth < 700 ? 172 : 84, gap: 8, open: (row) => go(`train/${row}`) });
  }
  const update = () => {
    const kinds = DECISIONS.map(([key, name]) => [name, [...decided.values()].filter((d) => d.decision === key).length]);
    status.textContent = `${count(core.suspects.length)} suspects, ${count(decided.size)} decided: ${kinds.map(([name, n]) => `${n} ${name}`).join(", ")}`;
    save.disabled = forget.disabled = !decided.size;
  };
  const save = h("button", { type: "button", class: "main", onclick: async () => download("decisions.csv", await asCSV()) }, "export decisions (CSV)");
  const forget = h("button", { type: "button", class: "quiet", onclick: () => { if (confirm("Forget all decisions?")) { forgetAll(); open(); } } }, "forget all");
  onDecision(update);
  list.inner.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select")) return;
    const cell = event.target.closest("[data-index]");
    const button = cell?.querySelector(`[data-key="${event.key}"]`);
    if (!button) return;
    button.click();
    list.focus(Math.min(list.size - 1, Number(cell.dataset.index) + 1));
  });
  const element = h("main", { class: "page" },
    h("h1", {}, "Labels that held-out models contradict"),
    h("p", { class: "lead" }, `Ranked by ${order}. Wrong labels come first, with hard and rare examples among them: look, and decide (keys 1, 2, 3). `,
      "Export the decisions, and ", h("code", {}, "python -m jaxmem.report WORKDIR --decisions=decisions.csv --write=cleaned.npz"),
      " makes the data for the next run.", what("suspects", "An example is listed where the models that never trained on it mostly name another class than its label. Held-out predictions find wrong labels; mem does not: a model that refuses to fit a wrong label has no mem.")),
    h("div", { class: "toolbar" }, h("div", { class: "controls" }, only, save,
      h("button", { type: "button", class: "quiet", onclick: () => take.click() }, "take back (CSV)"), take, forget, status)), message,
    core.suspects.length ? "" : h("p", { class: "none" }, "None: of every example, the models that never saw it mostly name its label."),
    list.element);
  return { element, show: open };
}
