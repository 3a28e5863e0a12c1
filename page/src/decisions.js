// What the reader decided of labels: kept in this browser, exported as CSV and taken back.

import { className, core, detailsOf, meta } from "./model.js";

/** @typedef {{decision: string, newLabel: string}} Decision */

export const DECISIONS = [
  ["wrong", "likely wrong", "the label is wrong: leave the example out, or give it another label"],
  ["hard", "hard", "the label is right, the example ambiguous: keep it"],
  ["rare", "rare", "the label is right, the example unusual: keep it"],
];

/** @type {Map<number, Decision>} */
export const decided = new Map();
const changed = new EventTarget();

/** @param {() => void} f */
export const onDecision = (f) => changed.addEventListener("change", f);

export function restore() {
  let kept = null;
  try {
    kept = JSON.parse(localStorage.getItem(meta.key) ?? "null");
  } catch { /* a page in a frame has no storage */ }
  // What was done with these very decisions since; else these.
  kept ??= meta.decisions.map((/** @type {[number, string, string]} */ [row, decision, newLabel]) => [row, { decision, newLabel }]);
  for (const [row, decision] of kept) decided.set(row, decision);
}

function changedNow() {
  try {
    localStorage.setItem(meta.key, JSON.stringify([...decided]));
  } catch { /* as above */ }
  changed.dispatchEvent(new Event("change"));
}

/** @param {number} row @param {string | null} decision @param {string} [newLabel] */
export function decide(row, decision, newLabel) {
  if (decision === null) decided.delete(row);
  else {
    const said = meta.says && core.train_said[row] !== core.train_label[row] ? className(core.train_said[row]) : "";
    decided.set(row, { decision, newLabel: decision === "wrong" ? newLabel ?? said : "" });
  }
  changedNow();
}

export function forgetAll() {
  decided.clear();
  changedNow();
}

const COLUMNS = ["row", "id", "name", "label", "said", "said_share", "mem", "decision", "new_label"];
const quoted = (/** @type {string} */ text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** The decisions as CSV. @returns {Promise<string>} */
export async function asCSV() {
  const lines = [COLUMNS.join(",")];
  for (const row of [...decided.keys()].sort((a, b) => a - b)) {
    const { id, name } = await detailsOf("train", row);
    const { decision, newLabel } = /** @type {Decision} */ (decided.get(row));
    const plain = (/** @type {number} */ x) => (Number.isFinite(x) ? x.toFixed(4) : "");
    const cells = [
      String(row), id, name, className(core.train_label[row]),
      meta.says ? className(core.train_said[row]) : "", meta.says ? plain(core.train_share[row]) : "",
      plain(core.mem[row]), decision, newLabel,
    ];
    lines.push(cells.map(quoted).join(","));
  }
  return `${lines.join("\n")}\n`;
}

/** Cells of CSV, line by line. @param {string} text @returns {string[][]} */
export function readCSV(text) {
  /** @type {string[][]} */
  const lines = [[]];
  const cell = /("((?:[^"]|"")*)"|[^,\r\n]*)(,|\r?\n|$)/gy;
  for (let match = cell.exec(text); match && cell.lastIndex <= text.length; match = cell.exec(text)) {
    lines[lines.length - 1].push(match[2] === undefined ? match[1] : match[2].replaceAll('""', '"'));
    if (match[3] === "") break;
    if (match[3] !== ",") lines.push([]);
  }
  return lines.filter((line) => line.length > 1);
}

/** Take exported decisions back; returns how many. @param {string} text */
export async function takeCSV(text) {
  const [head, ...lines] = readCSV(text.replace(/^\ufeff/, ""));
  const at = (/** @type {string} */ name) => head?.indexOf(name) ?? -1;
  if (["row", "id", "decision", "new_label"].some((name) => at(name) < 0))
    throw new Error("this is no file of decisions: it lacks row, id, decision or new_label");
  let taken = 0;
  for (const line of lines) {
    const row = Number(line[at("row")]);
    const decision = line[at("decision")];
    if (!(row < meta.sizes.train) || !DECISIONS.some(([key]) => key === decision)) continue;
    if ((await detailsOf("train", row)).id !== line[at("id")]) continue;
    decided.set(row, { decision, newLabel: line[at("new_label")] });
    taken++;
  }
  changedNow();
  return taken;
}

/** Offer text as a file. @param {string} name @param {string} text */
export function download(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

