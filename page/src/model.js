// The run's examples, and what is asked of them: filter and order.

import { loadPart } from "./parts.js";

/** @typedef {"train" | "test"} Split */

/** @type {any} */ export let meta;
/** @type {Record<string, any>} */ export let core;

export async function start() {
  const part = await loadPart("core");
  meta = part.meta;
  core = part.arrays;
}

/** @param {number} label */
export const className = (label) => meta.classes[label] ?? String(label);

/**
 * What lies in chunks: name, id, votes, links, neighbours of an example.
 * @param {Split} split @param {number} row
 */
export async function detailsOf(split, row) {
  const { meta: here, arrays } = await loadPart(`${split}-${Math.floor(row / meta.chunk)}`);
  const k = row % meta.chunk;
  const line = (/** @type {string} */ name) => {
    const array = arrays[name];
    return array ? Array.from(array.subarray(k * array.across, (k + 1) * array.across)) : null;
  };
  /** @param {string} kind */
  const links = (kind) => {
    const index = line(`${kind}_index`);
    if (!index) return null;
    const [infl, low, high, discovery] = ["infl", "low", "high", "discovery"].map((x) => line(`${kind}_${x}`));
    return index
      .map((other, i) => ({ row: other, infl: infl[i], low: low[i], high: high[i], discovery: !!discovery[i] }))
      .filter((link) => link.row >= 0);
  };
  return {
    name: here.names ? here.names[k] : String(row),
    id: here.ids[k],
    votes: line("vote_label")?.map((label, i) => ({ label, share: line("vote_share")[i] })) ?? null,
    helped: links("helped"),
    harmed: links("harmed"),
    near: line("near")?.map((other, i) => ({ row: other, distance: line("distance")[i] })) ?? null,
    values: line("values"),
  };
}

/** What can be sorted by: a name for people, and the values. */
export const sortKeys = () => ({
  mem: ["mem", core.mem],
  accuracy: ["held-out accuracy", core.train_accuracy],
  ...(meta.says && { share: ["share of the class they say", core.train_share] }),
  width: ["width of the interval", widths()],
  ...(core.margin && { margin: ["held-out margin", core.margin] }),
  label: ["class", core.train_label],
  row: ["row", rows()],
  ...(core.other_mem && { other: ["mem in the other run", core.other_mem], gap: ["mem less the other's", gaps()] }),
});

/** @template T @param {() => T} make @returns {() => T} */
const lazy = (make) => {
  /** @type {T} */ let value;
  return () => (value ??= make());
};
export const widths = lazy(() => core.high.map((x, k) => x - core.low[k]));
const rows = lazy(() => Uint32Array.from({ length: meta.sizes.train }, (_, k) => k));
const gaps = lazy(() => core.mem.map((x, k) => x - core.other_mem[k]));

/** @type {Map<string, Uint32Array>} */
const sorted = new Map();

/** All rows by a key, ascending; those without a value last. @param {string} key */
function permutation(key) {
  if (!sorted.has(key)) {
    const values = sortKeys()[key][1];
    const size = meta.sizes.train;
    const shift = 2 ** Math.ceil(Math.log2(size + 1));
    // Value and row in one number, which sorts ten times as fast as by a function.
    const packed = new Float64Array(size);
    const all = new Uint32Array(size);
    let known = 0, end = size;
    for (let row = 0; row < size; row++) {
      if (Number.isNaN(values[row])) all[--end] = row;
      else packed[known++] = Math.round(values[row] * (key === "row" ? 1 : 10_000)) * shift + row;
    }
    packed.subarray(0, known).sort().forEach((x, k) => { all[k] = x - Math.floor(x / shift) * shift; });
    all.subarray(known).reverse();
    sorted.set(key, Object.assign(all, { known }));
  }
  return /** @type {any} */ (sorted.get(key));
}

/**
 * What is asked for. Ranges are [from, to], null for all.
 * @typedef {{mem: [number, number] | null, accuracy: [number, number] | null,
 *   label: number | null, said: number | null, width: number | null, text: string,
 *   duplicate: string, sort: string, descending: boolean}} Query
 */

/** @returns {Query} */
export const everything = () => ({
  mem: null, accuracy: null, label: null, said: null, width: null, text: "", duplicate: "",
  sort: "mem", descending: true,
});

/** @type {string[] | null} */
let names = null;

/** Names of all training examples, in lower case; read when first searched for. */
async function allNames() {
  if (names) return names;
  const chunks = Math.ceil(meta.sizes.train / meta.chunk);
  const parts = await Promise.all(Array.from({ length: chunks }, (_, k) => loadPart(`train-${k}`)));
  names = [];
  parts.forEach(({ meta: here }, k) => {
    const size = Math.min(meta.chunk, meta.sizes.train - k * meta.chunk);
    for (let i = 0; i < size; i++)
      names.push(`${here.names ? here.names[i].toLowerCase() : k * meta.chunk + i} ${here.ids[i]}`);
  });
  return names;
}

/**
 * The predicate of a query, without one of its parts.
 * @param {Query} query @param {string} [without] @returns {Promise<(row: number) => boolean>}
 */
export async function predicate(query, without) {
  /** @type {((row: number) => boolean)[]} */
  const tests = [];
  const within = (/** @type {string} */ part, /** @type {any} */ values) => {
    const range = query[part];
    if (range && part !== without) tests.push((row) => values[row] >= range[0] && values[row] <= range[1]);
  };
  within("mem", core.mem);
  within("accuracy", core.train_accuracy);
  if (query.label !== null && without !== "label") tests.push((row) => core.train_label[row] === query.label);
  if (query.said !== null) tests.push((row) => core.train_said[row] === query.said);
  if (query.width !== null) tests.push((row) => widths()[row] <= query.width);
  if (query.duplicate === "none") tests.push((row) => core.duplicate[row] === 0);
  else if (query.duplicate) tests.push((row) => (core.duplicate[row] & Number(query.duplicate)) > 0);
  const text = query.text.trim().toLowerCase();
  if (/^#?\d+$/.test(text) && Number(text.replace("#", "")) < meta.sizes.train && text.startsWith("#"))
    tests.push((row) => row === Number(text.slice(1)));
  else if (text) {
    const all = await allNames();
    const classes = new Set(meta.classes.flatMap((/** @type {string} */ name, /** @type {number} */ k) =>
      meta.named && name.toLowerCase().includes(text) ? [k] : []));
    tests.push((row) => all[row].includes(text) || classes.has(core.train_label[row]));
  }
  return (row) => tests.every((test) => test(row));
}

/** Rows of the training set that a query asks for, in its order. @param {Query} query */
export async function select(query) {
  const test = await predicate(query);
  const all = permutation(query.sort);
  const found = new Uint32Array(all.length);
  let size = 0;
  const put = (/** @type {number} */ row) => { if (test(row)) found[size++] = row; };
  if (query.descending) for (let k = all.known - 1; k >= 0; k--) put(all[k]);
  else for (let k = 0; k < all.known; k++) put(all[k]);
  for (let k = all.known; k < all.length; k++) put(all[k]);
  return found.subarray(0, size);
}

/** Rows that stand more than once: {train, test}, or null. @param {Split} split @param {number} row */
export function copiesOf(split, row) {
  const side = split === "train" ? 0 : 1;
  const group = meta.groups.find((/** @type {number[][]} */ group) => group[side].includes(row));
  if (!group) return null;
  return { train: group[0].filter((k) => side || k !== row), test: group[1].filter((k) => !side || k !== row) };
}
