// Elements, numbers and words. Content only ever becomes text: nothing here parses HTML.

/** @typedef {Record<string, any>} Attributes  `onclick` and the like are listeners */

/**
 * An element with attributes and children; strings become text.
 * @param {string} tag
 * @param {Attributes} [attributes]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {any}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child || child === ""));
  return element;
}

/** An SVG element. @param {string} tag @param {Attributes} attributes @returns {any} */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** A number with two digits, a true minus, and a dash where there is none. */
export const number = (/** @type {number} */ value, digits = 2) =>
  Number.isFinite(value) ? value.toFixed(digits).replace("-", "−") : "–";

export const percent = (/** @type {number} */ value) =>
  Number.isFinite(value) ? `${(100 * value).toFixed(value > 0.995 && value < 1 ? 1 : 0)}%` : "–";

export const count = (/** @type {number} */ value) => value.toLocaleString("en");

/** "0.42 [0.31, 0.51]" */
export const withInterval = (value, low, high) =>
  Number.isFinite(low) ? `${number(value)} [${number(low)}, ${number(high)}]` : number(value);

/** A question mark that opens a few words. @param {string} name @param {string} text */
export function what(name, text) {
  return h("details", { class: "what" },
    h("summary", { "aria-label": `${name}: what is this?`, title: "what is this?" }, "?"),
    h("p", {}, text));
}

/**
 * A value with its interval, drawn on an axis.
 * @param {number} value @param {number} low @param {number} high
 * @param {[number, number]} domain @param {string} kind  a class: mem, helped or harmed
 */
export function whisker(value, low, high, [from, to], kind) {
  const x = (/** @type {number} */ v) => 4 + (92 * (Math.min(to, Math.max(from, v)) - from)) / (to - from);
  const drawing = svg("svg", { viewBox: "0 0 100 14", class: `whisker ${kind}`, "aria-hidden": "true" });
  drawing.append(svg("line", { x1: x(0), x2: x(0), y1: 1, y2: 13, class: "zero" }));
  if (!Number.isFinite(value)) return drawing;
  drawing.append(
    svg("line", { x1: x(low), x2: x(high), y1: 7, y2: 7, class: "range" }),
    svg("circle", { cx: x(value), cy: 7, r: 3.2 }));
  return drawing;
}

/** Calls f once things have been still for a while. */
export function debounce(f, milliseconds = 120) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => f(...args), milliseconds);
  };
}
