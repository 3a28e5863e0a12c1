// What the report carries: parts in base64, in the page or in files beside it.

/**
 * @typedef {Float32Array | Int32Array | Uint32Array | Uint16Array | Int16Array | Uint8Array} Values
 * @typedef {{meta: any, arrays: Record<string, Values & {across: number}>}} Part
 *   `across`: how many values a row of an array has
 */

const FRACTION = 10_000;
const MISSING = -32_768;
const KINDS = {
  fraction: Int16Array, float32: Float32Array, int32: Int32Array,
  uint32: Uint32Array, uint16: Uint16Array, uint8: Uint8Array,
};

/** @type {Map<string, (text: string) => void>} */
const waiting = new Map();
// A file of data calls this with its part.
Object.assign(window, {
  jaxmemPart: (/** @type {string} */ name, /** @type {string} */ text) => waiting.get(name)?.(text),
});

/** The base64 of a part. @param {string} name @returns {Promise<string>} */
async function textOf(name) {
  const find = () => document.getElementById(`part-${name}`);
  let element = find();
  if (!element && document.readyState === "loading") {
    await new Promise((done) => document.addEventListener("DOMContentLoaded", done, { once: true }));
    element = find();
  }
  if (element) {
    const text = element.textContent ?? "";
    element.remove(); // what was decoded once is kept decoded
    return text;
  }
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    waiting.set(name, resolve);
    script.src = `data/${name}.js`;
    script.onload = () => script.remove();
    script.onerror = () => reject(new Error(`data/${name}.js cannot be read`));
    document.head.append(script);
  });
}

/** @param {string} text */
function decode64(text) {
  const fast = /** @type {any} */ (Uint8Array).fromBase64;
  if (fast) return fast(text);
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let k = 0; k < raw.length; k++) bytes[k] = raw.charCodeAt(k);
  return bytes;
}

/** @param {Uint8Array} bytes @returns {Promise<ArrayBuffer>} */
const unzip = (bytes) =>
  new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();

/** @type {Map<string, Promise<any>>} */
const known = new Map();

/** @template T @param {string} name @param {() => Promise<T>} load @returns {Promise<T>} */
function once(name, load) {
  if (!known.has(name)) known.set(name, load());
  return /** @type {Promise<T>} */ (known.get(name));
}

/** A part's meta and arrays. @param {string} name @returns {Promise<Part>} */
export const loadPart = (name) => once(name, async () => read(await unzip(decode64(await textOf(name)))));

/** The address of a picture. @param {string} name @returns {Promise<string>} */
export const loadPicture = (name) =>
  once(name, async () => URL.createObjectURL(new Blob([decode64(await textOf(name))], { type: "image/webp" })));

/** @param {ArrayBuffer} buffer @returns {Part} */
function read(buffer) {
  const bytes = new Uint8Array(buffer);
  const start = bytes.indexOf(10) + 1; // the first line's end
  const { meta, arrays: places } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, start)));
  /** @type {any} */
  const arrays = {};
  for (const [name, { kind, offset, shape }] of Object.entries(places)) {
    const size = shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1);
    let values = new KINDS[kind](buffer, start + offset, size);
    if (kind === "fraction") values = Float32Array.from(values, (x) => (x === MISSING ? NaN : x / FRACTION));
    arrays[name] = Object.assign(values, { across: shape[1] ?? 1 });
  }
  return { meta, arrays };
}
